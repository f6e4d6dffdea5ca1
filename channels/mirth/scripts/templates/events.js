/**
	Takes what has arrived in a queue of events: for a JavaScript Reader. Nothing is acknowledged here; that is done by
	bridgeSettle in the postprocessor script of the same channel.

	@param {String} queue - its name
	@param {Array} bindings - which events it gets, such as ['instance.enriched.#']
	@param {Boolean} alsoDead - whether it also gets what other channels of the kit gave up
	@return {java.util.List} RawMessage; in the source map bridgeEventId, bridgeRoutingKey, bridgeEventType
*/
function bridgeConsume(queue, bindings, alsoDead) {
	var found = new java.util.ArrayList();
	var link = null;
	try {
		var settings = bridgeSettings();
		link = bridgeLink(settings);
		if (link.get('pauseFrom') != null
				&& java.lang.System.nanoTime() - link.get('pauseFrom').longValue() < settings.pauseMillis * 1e6) {
			return found;
		}
		var amqp = bridgeConsumer(link, settings, queue, bindings, alsoDead);
		var generation = link.get('generation');
		var delivery;
		while (found.size() < settings.batch && (delivery = amqp.basicGet(queue, false)) != null) {
			found.add(bridgeReceived(delivery, generation));
		}
		link.remove('said');
		return found;
	} catch (e) {
		// What was taken comes again, as its AMQP channel is closed. Said once, not with each poll.
		var why = bridgeFault(e);
		if (link != null && link.get('consumer') != null) {
			link.get('consumer').abort();
		}
		link = globalMap.get('hl7-dicom-bridge/' + channelId);
		if (link == null || String(link.get('said')) != why) {
			logger.warn('bridge: no events, tried again with each poll: ' + why);
		}
		if (link != null) {
			link.put('said', why);
		}
		return new java.util.ArrayList();
	}
}

/** The AMQP channel that takes events. Each one has a name: delivery tags of another one mean nothing on it. */
function bridgeConsumer(link, settings, queue, bindings, alsoDead) {
	var amqp = link.get('consumer');
	if (amqp != null && amqp.isOpen()) {
		return amqp;
	}
	amqp = link.get('connection').createChannel();
	if (settings.declare) {
		amqp.exchangeDeclare(settings.exchangeEvents, 'topic', true);
		amqp.exchangeDeclare(settings.exchangeDead, 'fanout', true);
		var kept = new java.util.HashMap();
		kept.put('x-queue-type', 'quorum');
		amqp.queueDeclare(settings.exchangeDead, true, false, false, kept);
		amqp.queueBind(settings.exchangeDead, settings.exchangeDead, '');
		var stated = new java.util.HashMap(kept);
		stated.put('x-delivery-limit', new java.lang.Integer(settings.deliveryLimit));
		if (alsoDead) {
			amqp.queueDeclare(queue, true, false, false, stated);
			amqp.queueBind(queue, settings.exchangeDead, '');
		} else {
			stated.put('x-dead-letter-exchange', settings.exchangeDead);
			stated.put('x-dead-letter-strategy', 'at-least-once');
			stated.put('x-overflow', 'reject-publish');
			amqp.queueDeclare(queue, true, false, false, stated);
		}
		for (var i = 0; i < bindings.length; i++) {
			amqp.queueBind(queue, settings.exchangeEvents, bindings[i]);
		}
	}
	link.put('consumer', amqp);
	link.put('generation', java.util.UUID.randomUUID().toString());
	return amqp;
}

/** One event as a message of the engine. */
function bridgeReceived(delivery, generation) {
	var envelope = delivery.getEnvelope();
	var properties = delivery.getProps();
	var id = properties.getMessageId() == null ? '' : String(properties.getMessageId());
	var map = new java.util.HashMap();
	map.put('bridgeDeliveryTag', new java.lang.Long(envelope.getDeliveryTag()));
	map.put('bridgeGeneration', generation);
	// It names files: nothing but the UUID that the bridge gives every event.
	map.put('bridgeEventId', /^[0-9a-f-]{36}$/.test(id) ? id : String(java.util.UUID.randomUUID()));
	map.put('bridgeRoutingKey', envelope.getRoutingKey());
	map.put('bridgeEventType', properties.getType());
	map.put('bridgeExchange', envelope.getExchange());
	return new RawMessage(new java.lang.String(delivery.getBody(), 'UTF-8'), null, map);
}

/**
	Acknowledges an event, or gives it back to be delivered again: for the postprocessor script. Acknowledged is what no
	connector has in ERROR: each destination has sent it, has it in its own durable queue, or has filtered it.

	What is given back pauses the reader (bridgeEventsPauseMillis); after bridgeEventsDeliveryLimit deliveries the broker
	moves it to the queue of dead events.

	@param {Object} message - as the postprocessor has it
	@return {String} acknowledged, returned, or gone: the AMQP channel is closed, so that it is delivered again anyway
*/
function bridgeSettle(message) {
	var tag = sourceMap.get('bridgeDeliveryTag');
	var link = globalMap.get('hl7-dicom-bridge/' + channelId);
	if (tag == null || link == null || link.get('consumer') == null || !link.get('consumer').isOpen()
			|| String(link.get('generation')) != String(sourceMap.get('bridgeGeneration'))) {
		return 'gone';
	}
	var failed = false;
	var connectors = message.getConnectorMessages().values().toArray();
	for (var i = 0; i < connectors.length; i++) {
		failed = failed || String(connectors[i].getStatus()) == 'ERROR';
	}
	try {
		if (failed) {
			link.put('pauseFrom', new java.lang.Long(java.lang.System.nanoTime()));
			link.get('consumer').basicNack(tag.longValue(), false, true);
			return 'returned';
		}
		link.get('consumer').basicAck(tag.longValue(), false);
		return 'acknowledged';
	} catch (e) {
		return 'gone';
	}
}

/** What an alert says of an event, without anything of the patient: for the alert channel. */
function bridgeAlertText(body, routingKey, exchange, deadExchange) {
	var event = JSON.parse(String(body));
	if (String(exchange) == deadExchange) {
		return 'event ' + event.id + ' (' + String(routingKey) + ') could not be delivered by its channel and is kept in queue '
			+ deadExchange;
	}
	if (/^message\.rejected\./.test(String(routingKey))) {
		return 'the bridge could not read a message of channel ' + event.data.channel + ': ' + event.data.code + ', '
			+ event.data.reason + '; bridge dead show ' + event.data.message.id;
	}
	return 'event ' + String(routingKey) + ' of the bridge: bridge explain ' + event.partitionkey;
}
