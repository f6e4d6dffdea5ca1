/**
	Publishes this destination's HL7 v2 message: for a JavaScript Writer.

	@param {String} listenerEncoding - the Encoding that the channel's listener is set to. With ISO-8859-1 the bytes are
		published as they came in, and the bridge finds the character set out (MSH-18); with another one the engine has
		decoded them, and they are published as UTF-8, which is said in the content type
	@return {Response} see bridgePublish
*/
function bridgePublishHl7(listenerEncoding) {
	var text = connectorMessage.getEncodedData();
	if (text == null || String(text) == '') {
		return new Response(ERROR, '', 'not published: the message has no content; is the storage level too low?');
	}
	var asReceived = listenerEncoding == 'ISO-8859-1';
	if (asReceived && /[^\u0000-\u00ff]/.test(String(text))) {
		return new Response(ERROR, '', 'not published: a transformer wrote characters that ISO-8859-1 does not have; set '
			+ "the listener's Encoding to that of the sender, and name it in bridgePublishHl7");
	}
	var body = new java.lang.String(text).getBytes(asReceived ? 'ISO-8859-1' : 'UTF-8');
	var type = /^\s*</.test(String(text)) ? 'application/hl7-v2+xml' : 'application/hl7-v2+er7';
	return bridgePublish(
		bridgeRoutingKeyOfHl7(String(text)), asReceived ? type : type + '; charset=utf-8', body, {});
}

/** hl7.<message type>.<trigger event> of MSH-9, such as hl7.ORM.O01; hl7.none where there is none. */
function bridgeRoutingKeyOfHl7(text) {
	var found = /^\s*MSH([^\w\s])(\S)/.exec(text.substring(0, 100));
	if (found == null) {
		return 'hl7.none';
	}
	var type = text.split(/[\r\n]/, 1)[0].split(found[1])[8] || '';
	var parts = type.split(found[2]);
	var words = /^\w{1,20}$/.test(parts[0]) ? [parts[0]] : ['none'];
	if (/^\w{1,20}$/.test(parts[1] || '')) {
		words.push(parts[1]);
	}
	return 'hl7.' + words.join('.');
}

/**
	Publishes the header of this DICOM object, without its pixel data: for a JavaScript Writer of a channel with the
	attachment handler DICOM, which takes them out. The destination's raw data are what came from the source, untouched
	by a transformer of the destination; one of the source must not exist (see the README).

	@return {Response} see bridgePublish
*/
function bridgePublishDicomHeader() {
	return bridgePublishDicom(java.util.Base64.getMimeDecoder().decode(new java.lang.String(connectorMessage.getRawData())));
}

/**
	Publishes this DICOM object whole, as a Part 10 file: for a JavaScript Writer, best with the attachment handler None.

	@return {Response} see bridgePublish
*/
function bridgePublishDicomObject() {
	return bridgePublishDicom(DICOMUtil.getDICOMRawBytes(connectorMessage));
}

function bridgePublishDicom(body) {
	var modality = null;
	try {
		modality = DICOMUtil.byteArrayToDicomObject(body, false).getString(0x00080060);
	} catch (e) {
		// the bridge says better what is wrong with it
	}
	var word = /^\s*(\w{1,16})\s*$/.exec(modality == null ? '' : String(modality));
	// An association's AE titles stand nowhere in the object; the bridge's channels can ask for calling-aet.
	return bridgePublish('dicom.' + (word == null ? 'none' : word[1]), 'application/dicom', body, {
		'calling-aet': sourceMap.get('remoteApplicationEntityTitle'),
		'called-aet': sourceMap.get('localApplicationEntityTitle')
	});
}
