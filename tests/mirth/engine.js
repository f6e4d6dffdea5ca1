// The part of an engine that the kit's scripts see: their globals, a scope of its own for each execution, shared maps,
// and for a destination the queue that tries again while the answer is QUEUED. Run by tests/mirth/engine.py with Rhino;
// takes one command a line (JSON) and answers with one line each.
/* global Packages, java */
var Context = Packages.org.mozilla.javascript.Context;
var out = java.lang.System.out;
var mapsOfEngine = new java.util.concurrent.ConcurrentHashMap();
var locks = new java.util.concurrent.ConcurrentHashMap();
var logged = new java.util.concurrent.ConcurrentLinkedQueue();
var alerted = new java.util.concurrent.ConcurrentLinkedQueue();
// From here a Scriptable is a JavaScript object, whose Java methods are only reached so.
var Scriptable = java.lang.Class.forName('org.mozilla.javascript.Scriptable');
var setPrototype = Scriptable.getMethod('setPrototype', Scriptable);
var setParentScope = Scriptable.getMethod('setParentScope', Scriptable);

// As com.mirth.connect.server.util.GlobalVariableStore: lock wants a key that putSync has made.
var globalMap = {
	get: function (key) { return mapsOfEngine.get(key); },
	put: function (key, value) { mapsOfEngine.put(key, value); },
	remove: function (key) { mapsOfEngine.remove(key); },
	containsKeySync: function (key) { return locks.containsKey(key); },
	putSync: function (key) { locks.putIfAbsent(key, new java.util.concurrent.locks.ReentrantLock()); },
	lock: function (key) { locks.get(key).lock(); },
	unlock: function (key) { locks.get(key).unlock(); }
};

function say(answer) {
	var line = JSON.stringify(answer);
	out.println(line);
	out.flush();
}

function javaMap(object) {
	var map = new java.util.HashMap();
	for (var key in object) {
		var value = object[key];
		map.put(key, typeof value == 'number' ? new java.lang.Long(value) : value);
	}
	return map;
}

function textMap(map) {
	var found = {};
	map.entrySet().toArray().forEach(function (entry) {
		found[String(entry.getKey())] = entry.getValue() == null ? null : String(entry.getValue());
	});
	return found;
}

function log(level) {
	return function (text) { logged.add(level + ' ' + text); };
}

function decoded(text) {
	return java.util.Base64.getMimeDecoder().decode(text);
}

// What an execution has; of the engine's classes and maps only what the scripts use.
function globalsOf(task) {
	var maps = {
		channelMap: javaMap(task.channelMap || {}), sourceMap: javaMap(task.sourceMap || {}),
		configurationMap: javaMap(task.configurationMap || {})
	};
	var message = task.message || {};
	return {
		globalMap: globalMap,
		channelMap: maps.channelMap,
		sourceMap: maps.sourceMap,
		configurationMap: maps.configurationMap,
		channelId: new java.lang.String(task.channelId),
		channelName: new java.lang.String(task.channelName),
		SENT: 'SENT', QUEUED: 'QUEUED', ERROR: 'ERROR', FILTERED: 'FILTERED',
		Response: function (status, message, statusMessage, error) {
			this.status = status;
			this.statusMessage = statusMessage;
		},
		RawMessage: function (raw, destinations, sourceMap) {
			this.raw = raw;
			this.sourceMap = sourceMap;
		},
		logger: { info: log('info'), warn: log('warn'), error: log('error') },
		alerts: { sendAlert: function (text) { alerted.add(String(text)); } },
		connectorMessage: {
			getChannelId: function () { return new java.lang.String(task.channelId); },
			getMessageId: function () { return message.id; },
			getMetaDataId: function () { return 1; },
			getEncodedData: function () { return message.data == null ? null : new java.lang.String(message.data); },
			getRawData: function () { return message.data == null ? null : new java.lang.String(message.data); }
		},
		message: {
			getConnectorMessages: function () {
				var all = new java.util.HashMap();
				(task.statuses || []).forEach(function (status, number) {
					all.put(new java.lang.Integer(number), { getStatus: function () { return status; } });
				});
				return all;
			}
		},
		DICOMUtil: {
			getDICOMRawBytes: function (connectorMessage) { return decoded(connectorMessage.getRawData()); },
			// The engine answers with a dcm4che2 object; the test says what it would find.
			byteArrayToDicomObject: function (bytes, base64) {
				return {
					getString: function (tag) {
						if (tag !== 0x00080060) {
							throw new Error('another tag');
						}
						return message.modality == null ? null : new java.lang.String(message.modality);
					}
				};
			}
		}
	};
}

// As the engine builds a script: the functions of the templates beside it, in a scope that nothing else sees.
function execute(task) {
	var context = Context.enter();
	try {
		context.setLanguageVersion(200);
		context.setOptimizationLevel(-1);
		var scope = context.newObject(shared);
		setPrototype.invoke(scope, [shared]);
		setParentScope.invoke(scope, [null]);
		var globals = globalsOf(task);
		for (var name in globals) {
			scope[name] = globals[name];
		}
		if (task.xml != null) {
			context.evaluateString(scope, 'msg = new XML(' + JSON.stringify(task.xml) + ');', 'message', 1, null);
		}
		var script = task.templates + '\nfunction doScript() {\n' + task.script + '\n}\ndoScript();\n';
		var result = context.evaluateString(scope, script, 'script', 1, null);
		return { result: result, globals: globals };
	} finally {
		Context.exit();
	}
}

function answerOf(done) {
	var answer = { channelMap: textMap(done.globals.channelMap) };
	var result = done.result;
	if (result != null && result.status != null) {
		answer.status = result.status;
		answer.text = String(result.statusMessage);
	} else if (result != null && result.toArray != null) { // what a reader has found
		answer.messages = result.toArray().map(function (raw) {
			return { data: String(raw.raw), sourceMap: textMap(raw.sourceMap), tag: Number(raw.sourceMap.get('bridgeDeliveryTag')) };
		});
	} else if (result !== undefined) {
		answer.value = String(result);
	}
	return answer;
}

// Many messages through one destination: each until it is SENT, as the engine's queue tries again.
function publishAll(task) {
	var waiting = new java.util.concurrent.ConcurrentLinkedQueue();
	task.messages.forEach(function (message) { waiting.add(JSON.stringify(message)); });
	var open = new java.util.concurrent.CountDownLatch(task.threads);
	var texts = new java.util.concurrent.ConcurrentHashMap();
	for (var number = 0; number < task.threads; number++) {
		new java.lang.Thread(new java.lang.Runnable({
			run: function () {
				try {
					var text;
					while ((text = waiting.poll()) != null) {
						var one = { message: JSON.parse(text) };
						for (var name in task) {
							one[name] = one[name] || task[name];
						}
						one.channelMap = {};
						var answer = answerOf(execute(one));
						if (answer.status == 'QUEUED') {
							waiting.add(text);
							java.lang.Thread.sleep(task.retryMillis);
						}
						texts.put(answer.status + ' ' + answer.text, '');
						synchronizedSay({ progress: one.message.id, status: answer.status });
					}
				} catch (e) {
					texts.put('thrown ' + e, '');
				} finally {
					open.countDown();
				}
			}
		})).start();
	}
	open.await();
	return { texts: Object.keys(textMap(texts)) };
}

var synchronizedSay = sync(say, out);

var shared = new Packages.org.mozilla.javascript.ImporterTopLevel(Context.getCurrentContext());
var lines = new java.io.BufferedReader(new java.io.InputStreamReader(java.lang.System['in'], 'UTF-8'));
var line;
synchronizedSay({ ready: true });
while ((line = lines.readLine()) != null) {
	var task = JSON.parse(line);
	var answer;
	try {
		answer = task.messages ? publishAll(task) : answerOf(execute(task));
	} catch (e) {
		answer = { thrown: String(e) + (e.rhinoException ? ' ' + e.rhinoException.getScriptStackTrace() : '') };
	}
	answer.logged = [];
	answer.alerted = [];
	var entry;
	while ((entry = logged.poll()) != null) {
		answer.logged.push(String(entry));
	}
	while ((entry = alerted.poll()) != null) {
		answer.alerted.push(String(entry));
	}
	synchronizedSay({ done: answer });
}
java.lang.System.exit(0);
