/**
	Publishes one message to the bridge and waits for the broker's confirm. Never throws.

	@param {String} routingKey - hl7.<type>.<trigger> or dicom.<modality>
	@param {String} contentType
	@param {byte[]} body
	@param {Object} headers - AMQP headers; those without a value are left out
	@return {Response} SENT when the broker has it; QUEUED when it may have it later (the destination's queue must be
		enabled: without it the engine turns QUEUED into ERROR); ERROR when trying again cannot help
*/
function bridgePublish(routingKey, contentType, body, headers) {
	var settings;
	try {
		settings = bridgeSettings();
		if (body.length > settings.maxBytes) {
			return new Response(ERROR, '', 'not published: ' + body.length + ' bytes, and the limit is '
				+ settings.maxBytes + ' (bridgeMaxBytes; of RabbitMQ 4: 16 MiB). Publish the header only');
		}
		if (settings.managementUrl != '') {
			return bridgePublishOverHttp(settings, routingKey, contentType, body, headers);
		}
		return bridgePublishOverAmqp(settings, routingKey, contentType, body, headers);
	} catch (e) {
		return new Response(QUEUED, '', 'not published, tried again: ' + bridgeFault(e));
	}
}

/** What the same message has in each attempt: the bridge recognises a repetition by its content, a person by this. */
function bridgeMessageId() {
	return String(connectorMessage.getChannelId()) + '/' + connectorMessage.getMessageId()
		+ '/' + connectorMessage.getMetaDataId();
}

function bridgePublishOverAmqp(settings, routingKey, contentType, body, headers) {
	var link = bridgeLink(settings);
	if (link.get('blocked').get() > 0) {
		return new Response(QUEUED, '', 'not published, tried again: the broker takes nothing (memory or disk alarm)');
	}
	var table = new java.util.HashMap();
	for (var name in headers) {
		if (headers[name] != null && String(headers[name]) != '') {
			table.put(name, new java.lang.String(String(headers[name])));
		}
	}
	var properties = new Packages.com.rabbitmq.client.AMQP.BasicProperties.Builder()
		.contentType(contentType)
		.deliveryMode(2)
		.messageId(bridgeMessageId())
		.appId('mirth')
		.timestamp(new java.util.Date())
		.headers(table)
		.build();
	var pair = bridgeTake(link);
	var amqp = pair.getKey();
	var confirmed;
	try {
		amqp.basicPublish(settings.exchangeIn, routingKey, true, properties, body); // true: mandatory
		confirmed = amqp.waitForConfirms(settings.confirmMillis);
	} catch (e) {
		// This AMQP channel is never used again: a late confirm would be taken for that of another message.
		return bridgeFailed(link, amqp, e);
	}
	var returned = pair.getValue().getAndSet(0) > 0; // RabbitMQ returns a message before it confirms it
	link.get('idle').addFirst(pair);
	if (!confirmed) {
		return new Response(QUEUED, '', 'not published, tried again: the broker refused it (is a queue full?)');
	}
	if (returned) {
		return new Response(QUEUED, '', 'not published, tried again: no queue is bound for ' + routingKey
			+ ' at exchange ' + settings.exchangeIn + '; has the bridge run once?');
	}
	return new Response(SENT, '', 'confirmed by the broker as ' + routingKey);
}

/** An AMQP channel with confirms, from the pool or new, with the counter of what was returned on it. */
function bridgeTake(link) {
	var pair;
	while ((pair = link.get('idle').pollFirst()) != null) {
		if (pair.getKey().isOpen()) {
			return pair;
		}
	}
	var amqp = link.get('connection').createChannel();
	if (amqp == null) {
		throw new Error('the broker allows no more AMQP channels on this connection');
	}
	var returned = new java.util.concurrent.atomic.AtomicInteger(0);
	amqp.confirmSelect();
	amqp.addReturnListener(
		java.beans.EventHandler.create(Packages.com.rabbitmq.client.ReturnListener, returned, 'incrementAndGet'));
	return new java.util.AbstractMap.SimpleEntry(amqp, returned);
}

/** What becomes of a message whose confirm did not come. It may have arrived all the same: it is sent again. */
function bridgeFailed(link, amqp, e) {
	var reason = amqp.getCloseReason();
	var why = reason == null ? bridgeFault(e) : String(reason.getMessage());
	if (reason == null && link.get('blocked').get() == 0) {
		link.get('connection').abort(2000); // no confirm, and no reason: begin anew
	}
	if (reason != null && /larger than (configured )?max/.test(why)) {
		return new Response(ERROR, '', 'not published: the broker refuses messages of this size. Publish the header only');
	}
	return new Response(QUEUED, '', 'not published, tried again: ' + why);
}
