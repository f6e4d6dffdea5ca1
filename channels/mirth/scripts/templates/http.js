/**
	Publishes through RabbitMQ's management API, for an engine without the RabbitMQ client. Used by bridgePublish when
	bridgeManagementUrl is set. A connection for each message, meant by RabbitMQ for tests: see the README of the kit.

	@return {Response} SENT where the broker says that a queue took it, else QUEUED
*/
function bridgePublishOverHttp(settings, routingKey, contentType, body, headers) {
	var table = {};
	for (var name in headers) {
		if (headers[name] != null && String(headers[name]) != '') {
			table[name] = String(headers[name]);
		}
	}
	var request = JSON.stringify({
		properties: {
			content_type: contentType, delivery_mode: 2, message_id: bridgeMessageId(), app_id: 'mirth', headers: table
		},
		routing_key: routingKey,
		payload: String(java.util.Base64.getEncoder().encodeToString(body)),
		payload_encoding: 'base64'
	});
	function part(text) {
		return encodeURIComponent(text);
	}
	var url = settings.managementUrl.replace(/\/+$/, '') + '/api/exchanges/' + part(settings.virtualHost) + '/'
		+ part(settings.exchangeIn) + '/publish';
	var connection = new java.net.URL(url).openConnection();
	var login = new java.lang.String(settings.user + ':' + settings.password).getBytes('UTF-8');
	if (connection instanceof javax.net.ssl.HttpsURLConnection) {
		connection.setSSLSocketFactory(bridgeTls(settings).getSocketFactory()); // it checks the host's name by itself
	}
	connection.setConnectTimeout(settings.connectMillis);
	connection.setReadTimeout(settings.confirmMillis);
	connection.setRequestMethod('POST');
	connection.setDoOutput(true);
	connection.setRequestProperty('Content-Type', 'application/json');
	connection.setRequestProperty('Authorization', 'Basic ' + java.util.Base64.getEncoder().encodeToString(login));
	try {
		connection.getOutputStream().write(new java.lang.String(request).getBytes('UTF-8'));
		var status = connection.getResponseCode();
		if (status != 200) {
			return new Response(QUEUED, '', 'not published, tried again: the management API answered ' + status
				+ (status == 400 || status == 404 ? ' (is there an exchange ' + settings.exchangeIn + '?)' : ''));
		}
		var answer = String(new java.util.Scanner(connection.getInputStream(), 'UTF-8').useDelimiter('\\A').next());
		if (JSON.parse(answer).routed !== true) { // it is 200 all the same
			return new Response(QUEUED, '', 'not published, tried again: no queue is bound for ' + routingKey
				+ ' at exchange ' + settings.exchangeIn + '; has the bridge run once?');
		}
		return new Response(SENT, '', 'taken by the management API as ' + routingKey);
	} finally {
		connection.disconnect();
	}
}
