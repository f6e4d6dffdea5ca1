"""Builds what a Mirth author imports, `channels/mirth/*.xml`, from `channels/mirth/scripts`: `make kit`."""

import uuid
from typing import NamedTuple
from xml.etree import ElementTree

from tests.mirth.connectors import (
    KIT,
    Content,
    dicom_listener,
    file_writer,
    http_sender,
    mllp_listener,
    reader,
    resources,
    script,
    versioned,
    writer,
    xml,
)

LIBRARY = "hl7-dicom-bridge-templates.xml"

# Where the functions can be called: everywhere in a channel.
CONTEXTS = [
    "CHANNEL_DEPLOY",
    "CHANNEL_UNDEPLOY",
    "CHANNEL_PREPROCESSOR",
    "CHANNEL_POSTPROCESSOR",
    "CHANNEL_ATTACHMENT",
    "CHANNEL_BATCH",
    "SOURCE_RECEIVER",
    "SOURCE_FILTER_TRANSFORMER",
    "DESTINATION_FILTER_TRANSFORMER",
    "DESTINATION_DISPATCHER",
    "DESTINATION_RESPONSE_TRANSFORMER",
]


class Kind(NamedTuple):
    """What one channel of the kit is made of."""

    folder: str  # of its scripts, and the name of its file
    name: str  # at most 40 letters, digits, blanks, hyphens and underscores
    description: str
    source: ElementTree.Element
    destination: ElementTree.Element
    pixels_apart: bool = False  # the attachment handler DICOM takes them out of the message

    @property
    def id(self) -> str:
        return fixed_id(self.folder)


def kinds() -> list[Kind]:
    """The channels of the kit."""
    return [
        Kind(
            "hl7-in",
            "Bridge HL7 in",
            "HL7 v2 over MLLP to the bridge. AA says: the broker has it, or the queue of the destination.",
            mllp_listener(),
            writer("hl7-in", "Bridge", "HL7V2", queue=True),
        ),
        Kind(
            "dicom-header-in",
            "Bridge DICOM header in",
            "DICOM C-STORE to the bridge, without pixel data. No step in the source transformer: names would be lost.",
            dicom_listener(11112),
            writer("dicom-header-in", "Bridge", "DICOM", queue=True),
            pixels_apart=True,
        ),
        Kind(
            "dicom-object-in",
            "Bridge DICOM object in",
            "DICOM C-STORE to the bridge, whole objects. No step in the source transformer: names would be lost.",
            dicom_listener(11113),
            writer("dicom-object-in", "Bridge", "DICOM", queue=True),
        ),
        Kind(
            "events-to-file",
            "Bridge events to file",
            "Enriched events of the bridge, each to a file; acknowledged when it is written.",
            reader("events-to-file"),
            file_writer(),
        ),
        Kind(
            "events-to-http",
            "Bridge events to HTTP",
            "Events of the bridge, each in a POST; acknowledged when the answer is below 400.",
            reader("events-to-http"),
            http_sender(),
        ),
        Kind(
            "alerts",
            "Bridge alerts",
            "Rejected messages and undeliverable events to the alerts of the engine, without anything of a patient.",
            reader("alerts"),
            writer("alerts", "Alert", "RAW", queue=False),
        ),
    ]


def fixed_id(name: str) -> str:
    """The same UUID in every build."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"urn:hl7-dicom-bridge:mirth:{name}"))


def library() -> ElementTree.Element:
    """The code template library, switched on for the channels of the kit and for no other."""
    templates = []
    for file in sorted((KIT / "scripts" / "templates").glob("*.js")):
        code = xml(
            "properties",
            {"type": "FUNCTION", "code": file.read_text().rstrip("\n")},
            class_="com.mirth.connect.model.codetemplates.BasicCodeTemplateProperties",
        )
        content: dict[str, Content] = {
            "id": fixed_id(f"template/{file.stem}"),
            "name": f"bridge {file.stem}",
            "revision": 1,
            "contextSet": {"delegate": [xml("contextType", context) for context in CONTEXTS]},
            "properties": code,
        }
        templates.append(versioned("codeTemplate", content))
    content = {
        "id": fixed_id("library"),
        "name": "HL7 DICOM bridge",
        "revision": 1,
        "description": "Publishing to the HL7 v2 to DICOM bridge, and consuming its events.",
        "includeNewChannels": False,
        "enabledChannelIds": [xml("string", kind.id) for kind in kinds()],
        "disabledChannelIds": None,
        "codeTemplates": templates,
    }
    return versioned("codeTemplateLibrary", content)


def channel(kind: Kind) -> ElementTree.Element:
    """One channel with the library, so that importing it is one step."""
    content: dict[str, Content] = {
        "id": kind.id,
        "nextMetaDataId": 2,
        "name": kind.name,
        "description": kind.description,
        "revision": 1,
        "source": kind.source,
        "destinationConnectors": [kind.destination],
        "preprocessingScript": script(kind.folder, "preprocessor"),
        "postprocessingScript": script(kind.folder, "postprocessor"),
        "deployScript": script(kind.folder, "deploy"),
        "undeployScript": script(kind.folder, "undeploy"),
        "properties": properties(kind),
        "exportData": {"metadata": {"enabled": True}, "codeTemplateLibraries": [library()]},
    }
    return versioned("channel", content)


def properties(kind: Kind) -> ElementTree.Element:
    handler: dict[str, Content] = {"type": "None", "properties": None}
    if kind.pixels_apart:
        dicom = "com.mirth.connect.server.attachments.dicom.DICOMAttachmentHandlerProvider"
        handler = {"className": dicom, "type": "DICOM", "properties": None}
    columns: list[dict[str, Content]] = [
        {"name": name, "type": "STRING", "mappingName": f"mirth_{name.lower()}"} for name in ("SOURCE", "TYPE")
    ]
    content: dict[str, Content] = {
        "clearGlobalChannelMap": True,
        "messageStorageMode": "PRODUCTION",  # the least in which the queue of a destination survives a restart
        "encryptData": False,
        "encryptAttachments": False,
        "encryptCustomMetaData": False,
        "removeContentOnCompletion": False,
        "removeOnlyFilteredOnCompletion": False,
        # Kept until all destinations have it: a destination added later, such as a PACS, needs the pixel data.
        "removeAttachmentsOnCompletion": kind.pixels_apart,
        "initialState": "STARTED",
        "storeAttachments": True,
        "metaDataColumns": [xml("metaDataColumn", column) for column in columns],
        "attachmentProperties": versioned("attachmentProperties", handler),
        "resourceIds": resources(),
    }
    return versioned("properties", content)


def built() -> dict[str, str]:
    """The text of each file that is imported, by its name."""
    files = {LIBRARY: library()} | {f"{kind.folder}.xml": channel(kind) for kind in kinds()}
    for element in files.values():
        ElementTree.indent(element)
    return {name: ElementTree.tostring(element, encoding="unicode") + "\n" for name, element in files.items()}


if __name__ == "__main__":
    for name, text in built().items():
        (KIT / name).write_text(text)
