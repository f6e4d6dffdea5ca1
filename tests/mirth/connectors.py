"""The connectors of the kit's channels, in the XML in which an engine of version 4.5.2 exports them."""

from pathlib import Path
from typing import TypeAlias
from xml.etree import ElementTree

KIT = Path(__file__).parents[2] / "channels" / "mirth"
VERSION = "4.5.2"

Content: TypeAlias = "str | bool | int | list[ElementTree.Element] | dict[str, Content] | ElementTree.Element | None"


def xml(tag: str, content: Content = None, **attributes: str) -> ElementTree.Element:
    """An element; a dictionary holds one element for each name, in that order."""
    element = ElementTree.Element(tag, {key.rstrip("_"): value for key, value in attributes.items()})
    if isinstance(content, bool):
        element.text = str(content).lower()
    elif isinstance(content, str | int):
        element.text = str(content) or None
    elif isinstance(content, list):
        element.extend(content)
    elif isinstance(content, dict):
        for name, inner in content.items():
            element.append(inner if isinstance(inner, ElementTree.Element) else xml(name, inner))
    return element


def versioned(tag: str, content: Content = None, class_: str = "") -> ElementTree.Element:
    """An element that states its version, and its Java class where it has one."""
    named = {"class": f"com.mirth.connect.{class_}"} if class_ else {}
    return xml(tag, content, **named, version=VERSION)


def script(folder: str, name: str) -> str:
    """A script of a channel, or what stands in its place in an engine's new channel."""
    file = KIT / "scripts" / "channels" / folder / f"{name}.js"
    if file.exists():
        return file.read_text().rstrip("\n")
    return {"preprocessor": "return message;"}.get(name, "return;")


# Parts that all channels have


def resources() -> ElementTree.Element:
    entry = xml("entry", [xml("string", "Default Resource"), xml("string", "[Default Resource]")])
    return xml("resourceIds", [entry], class_="linked-hash-map")


def source_settings(response: str, threads: int, *, first_response: bool = False) -> ElementTree.Element:
    settings: dict[str, Content] = {
        "responseVariable": response,
        "respondAfterProcessing": True,
        "processBatch": False,
        "firstResponse": first_response,
        "processingThreads": threads,
        "resourceIds": resources(),
        "queueBufferSize": 0,
    }
    return versioned("sourceConnectorProperties", settings)


def destination_settings(*, queue: bool) -> ElementTree.Element:
    settings: dict[str, Content] = {
        "queueEnabled": queue,
        "sendFirst": queue,
        "retryIntervalMillis": 5000 if queue else 10000,
        "regenerateTemplate": False,
        "retryCount": 0,
        "rotate": False,
        "includeFilterTransformer": False,
        "threadCount": 1,
        "threadAssignmentVariable": "",
        "validateResponse": False,
        "resourceIds": resources(),
        "queueBufferSize": 0,
        "reattachAttachments": True,
    }
    return versioned("destinationConnectorProperties", settings)


def listener(port: int) -> ElementTree.Element:
    return versioned("listenerConnectorProperties", {"host": "0.0.0.0", "port": port})  # noqa: S104 - as a new channel has it


def data_type(direction: str, name: str) -> ElementTree.Element:
    """The properties of a data type, as a new channel has them."""
    lower = name.lower()
    prefix = {"HL7V2": "HL7v2", "DICOM": "DICOM", "RAW": "Raw"}[name]

    def part(kind: str, content: Content) -> ElementTree.Element:
        tag = kind[0].lower() + kind[1:]
        return versioned(f"{tag}Properties", content, f"plugins.datatypes.{lower}.{prefix}{kind}Properties")

    strict: dict[str, Content] = {"useStrictParser": False, "useStrictValidation": False}
    repetitions: dict[str, Content] = {"handleRepetitions": True, "handleSubcomponents": True}
    hl7 = [
        part("Serialization", repetitions | strict | {"stripNamespaces": False, "segmentDelimiter": r"\r"}),
        part("Deserialization", strict | {"segmentDelimiter": r"\r"}),
        part("Batch", {"splitType": "MSH_Segment", "batchScript": ""}),
        part(
            "ResponseGeneration",
            {
                "segmentDelimiter": r"\r",
                "successfulACKCode": "AA",
                "successfulACKMessage": "",
                "errorACKCode": "AE",
                "errorACKMessage": "An Error Occurred Processing Message.",
                "rejectedACKCode": "AR",
                "rejectedACKMessage": "Message Rejected.",
                "msh15ACKAccept": False,
                "dateFormat": "yyyyMMddHHmmss.SSS",
            },
        ),
        part(
            "ResponseValidation",
            {
                "successfulACKCode": "AA,CA",
                "errorACKCode": "AE,CE",
                "rejectedACKCode": "AR,CR",
                "validateMessageControlId": True,
                "originalMessageControlId": "Destination_Encoded",
                "originalIdMapVariable": "",
            },
        ),
    ]
    hl7[0].append(xml("convertLineBreaks", True))
    raw = [part("Batch", {"splitType": "JavaScript", "batchScript": ""})]
    content: Content = {"HL7V2": hl7, "RAW": raw}.get(name)
    return versioned(f"{direction}Properties", content, f"plugins.datatypes.{lower}.{prefix}DataTypeProperties")


def transformer(tag: str, name: str) -> ElementTree.Element:
    """A transformer without steps: a DICOM object and an HL7 message pass through it as they are."""
    content: dict[str, Content] = {
        "elements": None,
        "inboundDataType": name,
        "outboundDataType": name,
        "inbound": data_type("inbound", name),
        "outbound": data_type("outbound", name),
    }
    return versioned(tag, content)


def connector(
    tag: str, number: int, name: str, transport: str, data: str, properties: ElementTree.Element
) -> ElementTree.Element:
    content: dict[str, Content] = {
        "metaDataId": number,
        "name": name,
        "properties": properties,
        "transformer": transformer("transformer", data),
        "responseTransformer": transformer("responseTransformer", "RAW") if number else None,
        "filter": versioned("filter", {"elements": None}),
        "transportName": transport,
        "mode": "DESTINATION" if number else "SOURCE",
        "enabled": True,
        "waitForPrevious": True,
    }
    if not number:
        del content["responseTransformer"]
    return versioned(tag, content)


# Connectors


def mllp_listener() -> ElementTree.Element:
    frame = {"pluginPointName": "MLLP", "startOfMessageBytes": "0B", "endOfMessageBytes": "1C0D"}
    properties: dict[str, Content] = {
        "listener": listener(6661),
        # Until the destination has it, confirmed or in its durable queue: only then the sender may forget it.
        "source": source_settings("Auto-generate (Destinations completed)", 16, first_response=True),
        "transmission": xml(
            "transmissionModeProperties",
            dict(frame),
            class_="com.mirth.connect.model.transmission.framemode.FrameModeProperties",
        ),
        "serverMode": True,
        "remoteAddress": "",
        "remotePort": "",
        "overrideLocalBinding": False,
        "reconnectInterval": 5000,
        "receiveTimeout": 0,
        "bufferSize": 65536,
        "maxConnections": 32,
        "keepConnectionOpen": True,
        "dataTypeBinary": False,
        "charsetEncoding": "ISO-8859-1",  # every byte passes through; see bridgePublishHl7
        "respondOnNewConnection": 0,
        "responseAddress": "",
        "responsePort": "",
    }
    made = versioned("properties", properties, "connectors.tcp.TcpReceiverProperties")
    return connector("sourceConnector", 0, "sourceConnector", "TCP Listener", "HL7V2", made)


def dicom_listener(port: int) -> ElementTree.Element:
    texts = {"localHost": "", "localPort": "", "localApplicationEntity": ""}
    numbers = {"soCloseDelay": 50, "releaseTo": 5, "requestTo": 5, "idleTo": 60, "reaper": 10, "rspDelay": 0}
    properties: dict[str, Content] = {
        "listener": listener(port),
        "source": source_settings("Auto-generate (Destinations completed)", 8),
        "applicationEntity": "BRIDGE",
        **texts,
        **numbers,
        "pdv1": False,
        "sndpdulen": 16,
        "rcvpdulen": 16,
        "async": 0,
        "bigEndian": False,
        "bufSize": 1,
        "defts": False,
        "dest": "",
        "nativeData": False,
        "sorcvbuf": 0,
        "sosndbuf": 0,
        "tcpDelay": True,
        "keyPW": "",
        "keyStore": "",
        "keyStorePW": "",
        "noClientAuth": True,
        "nossl2": True,
        "tls": "notls",
        "trustStore": "",
        "trustStorePW": "",
    }
    made = versioned("properties", properties, "connectors.dimse.DICOMReceiverProperties")
    return connector("sourceConnector", 0, "sourceConnector", "DICOM Listener", "DICOM", made)


def reader(folder: str) -> ElementTree.Element:
    advanced: dict[str, Content] = {
        "weekly": True,
        "inactiveDays": [xml("boolean", False) for _ in range(8)],
        "dayOfMonth": 1,
        "allDay": True,
        "startingHour": 8,
        "startingMinute": 0,
        "endingHour": 17,
        "endingMinute": 0,
    }
    polling: dict[str, Content] = {
        "pollingType": "INTERVAL",
        "pollOnStart": True,
        "pollingFrequency": 500,
        "pollingHour": 0,
        "pollingMinute": 0,
        "cronJobs": None,
        "pollConnectorPropertiesAdvanced": advanced,
    }
    properties: dict[str, Content] = {
        "poll": versioned("pollConnectorProperties", polling),
        "source": source_settings("None", 1),
        "script": script(folder, "reader"),
    }
    made = versioned("properties", properties, "connectors.js.JavaScriptReceiverProperties")
    return connector("sourceConnector", 0, "sourceConnector", "JavaScript Reader", "RAW", made)


def writer(folder: str, name: str, data: str, *, queue: bool) -> ElementTree.Element:
    content: dict[str, Content] = {
        "destination": destination_settings(queue=queue),
        "script": script(folder, "writer"),
    }
    made = versioned("properties", content, "connectors.js.JavaScriptDispatcherProperties")
    return connector("connector", 1, name, "JavaScript Writer", data, made)


def file_writer() -> ElementTree.Element:
    properties: dict[str, Content] = {
        "destination": destination_settings(queue=False),
        "scheme": "FILE",
        "host": "${bridgeFileFolder}",
        "outputPattern": "${bridgeEventId}.json",  # the same event again is the same file
        "anonymous": True,
        "username": "anonymous",
        "password": "anonymous",
        "timeout": 10000,
        "keepConnectionOpen": True,
        "maxIdleTime": 0,
        "secure": True,
        "passive": True,
        "validateConnection": True,
        "outputAppend": False,
        "errorOnExists": False,
        "temporary": True,  # never seen half written
        "binary": False,
        "charsetEncoding": "UTF-8",
        "template": "${message.encodedData}",
    }
    made = versioned("properties", properties, "connectors.file.FileDispatcherProperties")
    return connector("connector", 1, "File", "File Writer", "RAW", made)


def http_sender() -> ElementTree.Element:
    key = xml("entry", [xml("string", "Idempotency-Key"), xml("list", [xml("string", "${bridgeEventId}")])])
    properties: dict[str, Content] = {
        "destination": destination_settings(queue=False),
        "host": "${bridgeHttpUrl}",
        "useProxyServer": False,
        "proxyAddress": "",
        "proxyPort": "",
        "method": "post",
        "headers": xml("headers", [key], class_="linked-hash-map"),
        "parameters": xml("parameters", class_="linked-hash-map"),
        "useHeadersVariable": False,
        "headersVariable": "",
        "useParametersVariable": False,
        "parametersVariable": "",
        "responseXmlBody": False,
        "responseParseMultipart": True,
        "responseIncludeMetadata": False,
        "responseBinaryMimeTypes": "application/.*(?<!json|xml)$|image/.*|video/.*|audio/.*",
        "responseBinaryMimeTypesRegex": True,
        "multipart": False,
        "useAuthentication": False,
        "authenticationType": "Basic",
        "usePreemptiveAuthentication": False,
        "username": "",
        "password": "",
        "content": "${message.encodedData}",
        "contentType": "application/cloudevents+json",
        "dataTypeBinary": False,
        "charset": "UTF-8",
        "socketTimeout": 30000,
    }
    made = versioned("properties", properties, "connectors.http.HttpDispatcherProperties")
    return connector("connector", 1, "HTTP", "HTTP Sender", "RAW", made)
