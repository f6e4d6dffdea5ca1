// Triggers the engine's alerts (error type "User Defined Transformer"), which you set up under Alerts, such as by mail.
var text = bridgeAlertText(
	connectorMessage.getRawData(), sourceMap.get('bridgeRoutingKey'), sourceMap.get('bridgeExchange'),
	bridgeSettings().exchangeDead);
alerts.sendAlert(text);
logger.warn('bridge: ' + text);
return new Response(SENT, '', text);
