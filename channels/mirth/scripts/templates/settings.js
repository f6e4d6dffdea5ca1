/**
	Reads the settings of the bridge from the configuration map. What is not set there has the default below.

	@return {Object} the settings; see the table in channels/mirth/README.md
*/
function bridgeSettings() {
	function setting(name, otherwise) {
		var value = configurationMap.get(name);
		return value == null || String(value).trim() == '' ? otherwise : String(value).trim();
	}
	function number(name, otherwise) {
		var value = Number(setting(name, otherwise));
		if (!(value > 0)) {
			throw new Error(name + ' in the configuration map is no positive number');
		}
		return value;
	}
	function list(name, otherwise) {
		return setting(name, otherwise).split(/[\s,]+/);
	}
	// Never java.net.URI's own message, nor ConnectionFactory.setUri: both put the password into their errors, and the
	// second one trusts every certificate.
	var parts = /^(amqps?):\/\/(?:([^:@\/]*)(?::([^@\/]*))?@)?(\[[^\]]+\]|[^:\/@]+)(?::(\d+))?(?:\/([^\/?]*))?$/.exec(
		setting('bridgeAmqpUri', 'amqp://guest:guest@localhost:5672/%2F'));
	if (parts == null) {
		throw new Error('bridgeAmqpUri in the configuration map is not of the form amqp://user:password@host:5672/%2F');
	}
	var tls = setting('bridgeAmqpTls', String(parts[1] == 'amqps')) == 'true';
	return {
		host: setting('bridgeAmqpHost', parts[4].replace(/[\[\]]/g, '')),
		port: number('bridgeAmqpPort', parts[5] || (tls ? '5671' : '5672')),
		virtualHost: setting('bridgeAmqpVirtualHost', decodeURIComponent(parts[6] || '') || '/'),
		user: setting('bridgeAmqpUser', decodeURIComponent(parts[2] || 'guest')),
		password: setting('bridgeAmqpPassword', decodeURIComponent(parts[3] || 'guest')),
		tls: tls,
		caFile: setting('bridgeAmqpCaFile', ''),
		keyStoreFile: setting('bridgeAmqpKeyStoreFile', ''),
		keyStorePassword: setting('bridgeAmqpKeyStorePassword', ''),
		connectMillis: number('bridgeAmqpConnectMillis', '5000'),
		confirmMillis: number('bridgeAmqpConfirmMillis', '10000'),
		declare: setting('bridgeAmqpDeclare', 'create') != 'check',
		managementUrl: setting('bridgeManagementUrl', ''),
		maxBytes: number('bridgeMaxBytes', '16777216'),
		exchangeIn: setting('bridgeExchangeIn', 'bridge.in'),
		exchangeEvents: setting('bridgeExchangeEvents', 'bridge.events'),
		exchangeDead: setting('bridgeExchangeDead', 'mirth.dead'),
		fileQueue: setting('bridgeFileQueue', 'mirth.events.file'),
		fileBindings: list('bridgeFileBindings', 'instance.enriched.#'),
		httpQueue: setting('bridgeHttpQueue', 'mirth.events.http'),
		httpBindings: list('bridgeHttpBindings', 'study.ready.#'),
		alertQueue: setting('bridgeAlertQueue', 'mirth.alerts'),
		alertBindings: list('bridgeAlertBindings', 'message.rejected.#'),
		deliveryLimit: number('bridgeEventsDeliveryLimit', '1000'),
		pauseMillis: number('bridgeEventsPauseMillis', '10000'),
		batch: number('bridgeEventsBatch', '100')
	};
}
