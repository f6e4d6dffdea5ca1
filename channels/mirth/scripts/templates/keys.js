/**
	Keeps the keys by which the bridge links an HL7 v2 order, for your own filters, logs and columns. The bridge reads the
	message itself: it needs none of this. Give it `msg` of a transformer.

	@param {XML} msg - HL7 v2 as the engine serialises it
*/
function bridgeKeysOfHl7(msg) {
	function keep(name, value) {
		// toString of a list with several entries would give XML, not text
		channelMap.put(name, value.length() > 0 ? String(value[0].toString()) : '');
	}
	keep('patientId', msg['PID']['PID.3']['PID.3.1']);
	keep('placerOrderNumber', msg['ORC']['ORC.2']['ORC.2.1']);
	keep('fillerOrderNumber', msg['ORC']['ORC.3']['ORC.3.1']);
	keep('accessionNumber', msg['OBR']['OBR.18']['OBR.18.1']);
	keep('requestedProcedureId', msg['OBR']['OBR.19']['OBR.19.1']);
	keep('studyInstanceUid', msg['ZDS']['ZDS.1']['ZDS.1.1']);
}

/**
	Keeps the keys of a DICOM object and its Instance Number. Only in the transformer of a destination whose content is
	not published: a step in the source makes the engine write the object anew, and names are lost.

	Instance Number is text as the header has it, trimmed by the engine; it is put into the channel map only where the
	object has the element, so null is absent and '' is empty. HL7 v2 has no field for it in any version: never write it
	to a segment.

	@param {XML} msg - DICOM as the engine serialises it
*/
function bridgeKeysOfDicom(msg) {
	channelMap.put('sopInstanceUid', String(msg['tag00080018'].toString()));
	channelMap.put('studyInstanceUid', String(msg['tag0020000D'].toString()));
	channelMap.put('accessionNumber', String(msg['tag00080050'].toString()));
	channelMap.put('patientId', String(msg['tag00100020'].toString()));
	channelMap.put('modality', String(msg['tag00080060'].toString()));
	if (msg['tag00200013'].length() > 0) {
		channelMap.put('instanceNumber', String(msg['tag00200013'].toString()));
	}
}
