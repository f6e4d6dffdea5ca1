/**
	The AMQP connection of this channel, opened where there is none. It stays in the globalMap until bridgeClose.

	Opened again on the next use after a fault, and not by the client library's recovery: an AMQP channel that it
	recovers has lost its outstanding confirms and its delivery tags without saying so.

	@return {java.util.Map} connection, idle (the pool of confirmed AMQP channels), blocked (more than 0: by the broker)
*/
function bridgeLink(settings) {
	var key = 'hl7-dicom-bridge/' + channelId;
	var link = globalMap.get(key);
	if (link != null && link.get('connection') != null && link.get('connection').isOpen()) {
		return link;
	}
	if (!globalMap.containsKeySync(key)) {
		globalMap.putSync(key, 'lock');
	}
	globalMap.lock(key);
	try {
		link = globalMap.get(key);
		if (link != null && link.get('connection') != null && link.get('connection').isOpen()) {
			return link; // somebody else has opened it meanwhile
		}
		// While the broker is away, not every thread of the engine waits for its own attempt.
		if (link != null && link.get('fault') != null
				&& java.lang.System.nanoTime() - link.get('faultAt').longValue() < 2e9) {
			throw new Error(String(link.get('fault')));
		}
		// Only Java objects go into the map: a JavaScript object would keep this message in memory with its scope.
		link = new java.util.concurrent.ConcurrentHashMap();
		try {
			link.put('idle', new java.util.concurrent.ConcurrentLinkedDeque());
			link.put('blocked', new java.util.concurrent.atomic.AtomicInteger(0));
			link.put('connection', bridgeConnect(settings, link.get('blocked')));
		} catch (e) {
			link.put('fault', bridgeFault(e));
			link.put('faultAt', new java.lang.Long(java.lang.System.nanoTime()));
			throw e;
		} finally {
			globalMap.put(key, link);
		}
		return link;
	} finally {
		globalMap.unlock(key);
	}
}

/** Opens a connection; the counter `blocked` is above 0 while the broker takes nothing (memory or disk alarm). */
function bridgeConnect(settings, blocked) {
	if (typeof Packages.com.rabbitmq.client.ConnectionFactory != 'function') {
		throw new Error('the RabbitMQ client is not on the class path of the engine: put amqp-client into custom-lib');
	}
	var factory = new Packages.com.rabbitmq.client.ConnectionFactory();
	factory.setHost(settings.host);
	factory.setPort(settings.port);
	factory.setVirtualHost(settings.virtualHost);
	factory.setUsername(settings.user);
	factory.setPassword(settings.password);
	factory.setAutomaticRecoveryEnabled(false);
	factory.setTopologyRecoveryEnabled(false);
	factory.setConnectionTimeout(settings.connectMillis);
	factory.setHandshakeTimeout(settings.connectMillis);
	factory.setChannelRpcTimeout(settings.confirmMillis);
	factory.setRequestedHeartbeat(30);
	if (settings.tls) {
		factory.useSslProtocol(bridgeTls(settings));
		// The certificate must be for this host; not every version of the client has a switch for it.
		factory.setSocketConfigurator(new JavaAdapter(Packages.com.rabbitmq.client.SocketConfigurator, {
			configure: function (socket) {
				var parameters = socket.getSSLParameters();
				parameters.setEndpointIdentificationAlgorithm('HTTPS');
				socket.setSSLParameters(parameters);
			}
		}));
	}
	// Not by its IP address, as older versions of the client connect: the certificate is for the name.
	var address = new Packages.com.rabbitmq.client.Address(settings.host, settings.port);
	var named = new Packages.com.rabbitmq.client.ListAddressResolver(java.util.Collections.singletonList(address));
	var connection = factory.newConnection(null, named, 'mirth ' + channelName);
	// java.beans.EventHandler, not a JavaScript function: see above.
	var Blocked = Packages.com.rabbitmq.client.BlockedListener;
	connection.addBlockedListener(
		java.beans.EventHandler.create(Blocked, blocked, 'incrementAndGet', null, 'handleBlocked'));
	connection.addBlockedListener(
		java.beans.EventHandler.create(Blocked, blocked, 'decrementAndGet', null, 'handleUnblocked'));
	return connection;
}

/** A TLS context that trusts bridgeAmqpCaFile (PEM), or without it what the engine's Java trusts. */
function bridgeTls(settings) {
	var trust = null;
	var keys = null;
	var stream;
	if (settings.caFile != '') {
		var trusted = java.security.KeyStore.getInstance(java.security.KeyStore.getDefaultType());
		trusted.load(null, null);
		stream = new java.io.FileInputStream(settings.caFile);
		try {
			var found = java.security.cert.CertificateFactory.getInstance('X.509').generateCertificates(stream).toArray();
			for (var i = 0; i < found.length; i++) {
				trusted.setCertificateEntry('authority' + i, found[i]);
			}
		} finally {
			stream.close();
		}
		var trustFactory = javax.net.ssl.TrustManagerFactory.getInstance(
			javax.net.ssl.TrustManagerFactory.getDefaultAlgorithm());
		trustFactory.init(trusted);
		trust = trustFactory.getTrustManagers();
	}
	if (settings.keyStoreFile != '') {
		var word = new java.lang.String(settings.keyStorePassword).toCharArray();
		var own = java.security.KeyStore.getInstance('PKCS12');
		stream = new java.io.FileInputStream(settings.keyStoreFile);
		try {
			own.load(stream, word);
		} finally {
			stream.close();
		}
		var keyFactory = javax.net.ssl.KeyManagerFactory.getInstance(
			javax.net.ssl.KeyManagerFactory.getDefaultAlgorithm());
		keyFactory.init(own, word);
		keys = keyFactory.getKeyManagers();
	}
	var context = javax.net.ssl.SSLContext.getInstance('TLS');
	context.init(keys, trust, null);
	return context;
}

/** Why something failed, in one line: the innermost cause. Texts of the broker and of Java, never of a message. */
function bridgeFault(e) {
	var cause = e.javaException == null ? null : e.javaException;
	if (cause == null) {
		return String(e.message == null ? e : e.message);
	}
	while (cause.getCause() != null) {
		cause = cause.getCause();
	}
	return String(cause.getClass().getSimpleName()) + (cause.getMessage() == null ? '' : ': ' + cause.getMessage());
}

/** Says in the server log whether the broker answers. A broker that is away does not keep the channel from starting. */
function bridgeDeploy() {
	try {
		var settings = bridgeSettings();
		if (settings.managementUrl != '') {
			logger.warn('bridge: publishing over the management API; see what that is worth in the README of the kit');
			return;
		}
		bridgeLink(settings);
		logger.info('bridge: connected to ' + settings.host + ':' + settings.port);
	} catch (e) {
		logger.error('bridge: no connection yet, tried again with each message: ' + bridgeFault(e));
	}
}

/** Closes the connection of this channel: for the undeploy script. */
function bridgeClose() {
	var key = 'hl7-dicom-bridge/' + channelId;
	var link = globalMap.get(key);
	globalMap.remove(key);
	if (link != null && link.get('connection') != null) {
		link.get('connection').abort(5000); // as close, without an exception where it is closed already
	}
}
