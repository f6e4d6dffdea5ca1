"""What a Mirth author imports has the shape of what an engine exports."""

import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bridge.config import load_channels
from tests.conftest import REPOSITORY
from tests.mirth.build import CONTEXTS, LIBRARY, built, kinds
from tests.mirth.connectors import KIT, VERSION
from tests.mirth.engine import Channel

SAMPLES = REPOSITORY.parent / "shared" / "reference" / "mirth" / "channels"
FILES = sorted(file.name for file in KIT.glob("*.xml"))
CHANNELS = [name for name in FILES if name != LIBRARY]
# Of code templates and of an Administrator's export, which the samples do not have.
OTHER = {
    ("codeTemplateLibrary", None, VERSION),
    ("codeTemplate", None, VERSION),
    ("properties", "com.mirth.connect.model.codetemplates.BasicCodeTemplateProperties", None),
}
needs_samples = pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"the engine's exports are not in {SAMPLES}")


def parsed(file: Path) -> ElementTree.Element:
    return ElementTree.parse(file).getroot()  # noqa: S314 - our own files


def tree(name: str) -> ElementTree.Element:
    return parsed(KIT / name)


def typed(root: ElementTree.Element) -> set[tuple[str, str | None, str | None]]:
    """Tag, class and version of each element that states one."""
    return {(each.tag, each.get("class"), each.get("version")) for each in root.iter() if each.attrib}


def parts(root: ElementTree.Element) -> Iterator[tuple[str, list[str]]]:
    """The settings in each element that states a version, by its class or tag."""
    for element in root.iter():
        if "version" in element.attrib:
            yield element.get("class") or element.tag, [child.tag for child in element]


def test_the_exports_are_what_the_scripts_build() -> None:
    made = built()
    assert sorted(made) == FILES, "make kit"
    for name, text in made.items():
        assert (KIT / name).read_text() == text, "make kit"


@needs_samples
@pytest.mark.parametrize("name", FILES)
def test_every_class_and_version_is_one_that_the_engine_exports(name: str) -> None:
    known = {each for file in SAMPLES.glob("*.xml") for each in typed(parsed(file))}
    assert typed(tree(name)) <= known | OTHER


@needs_samples
@pytest.mark.parametrize("name", CHANNELS)
def test_every_part_has_the_settings_that_the_engine_exports_in_their_sequence(name: str) -> None:
    known: dict[str, list[list[str]]] = {}
    for file in SAMPLES.glob("*.xml"):
        for part, children in parts(parsed(file)):
            known.setdefault(part, []).append(children)
    channel = tree(name)
    exported = channel.find("exportData")
    assert exported is not None
    channel.remove(exported)
    for part, children in parts(channel):
        assert children in known[part], part


@pytest.mark.parametrize("name", CHANNELS)
def test_a_channel_brings_the_library_switched_on_for_itself_and_calls_nothing_else(name: str) -> None:
    channel = tree(name)
    [library] = channel.findall("exportData/codeTemplateLibraries/codeTemplateLibrary")
    assert ElementTree.canonicalize(ElementTree.tostring(library), strip_text=True) == ElementTree.canonicalize(
        ElementTree.tostring(tree(LIBRARY)), strip_text=True
    )
    found = Channel(name.removesuffix(".xml"))
    assert found.templates
    declared = set(re.findall(r"^\t*function (bridge\w+)\(", found.templates, re.MULTILINE))
    called = set(re.findall(r"\b(bridge\w+)\(", "\n".join([found.templates, *found.scripts.values()])))
    assert called <= declared
    assert any("bridge" in script for script in found.scripts.values())


def test_ids_are_fixed_and_each_is_there_once() -> None:
    ids = [kind.id for kind in kinds()]
    library = tree(LIBRARY)
    ids += [library.findtext("id") or "", *(each.findtext("id") or "" for each in library.iter("codeTemplate"))]
    assert len(set(ids)) == len(ids)
    assert tree("hl7-in.xml").findtext("id") == "4aad0c64-4955-5a91-be0f-e2efdc11385c"


def test_templates_can_be_called_from_every_script_of_a_channel() -> None:
    for template in tree(LIBRARY).iter("codeTemplate"):
        assert [context.text for context in template.iter("contextType")] == CONTEXTS


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.folder)
def test_names_are_such_that_an_engine_accepts_them(kind: object) -> None:
    assert re.fullmatch(r"[\w -]{1,40}", getattr(kind, "name", ""))


@pytest.mark.parametrize("name", CHANNELS)
def test_no_channel_has_a_transformer_step_as_an_object_written_anew_loses_names(name: str) -> None:
    assert not [step for elements in tree(name).iter("elements") for step in elements]


@pytest.mark.parametrize("name", ["hl7-in.xml", "dicom-header-in.xml", "dicom-object-in.xml"])
def test_a_sender_is_answered_after_the_broker_or_a_durable_queue_has_its_message(name: str) -> None:
    channel = tree(name)
    assert channel.findtext(".//responseVariable") == "Auto-generate (Destinations completed)"
    assert channel.findtext(".//respondAfterProcessing") == "true"
    assert [queue.text for queue in channel.iter("queueEnabled")] == ["true"]
    assert channel.findtext("properties/messageStorageMode") == "PRODUCTION"


def test_the_header_alone_is_what_the_attachment_handler_leaves() -> None:
    assert tree("dicom-header-in.xml").findtext("properties/attachmentProperties/type") == "DICOM"
    assert tree("dicom-object-in.xml").findtext("properties/attachmentProperties/type") == "None"


def test_the_kit_is_no_channel_of_the_bridge() -> None:
    files = {file.stem for file in (REPOSITORY / "channels").glob("*.toml")}
    assert {channel.name for channel in load_channels(REPOSITORY / "channels")} == files
    assert not list(KIT.rglob("*.toml"))


def test_every_setting_is_explained() -> None:
    page = (KIT / "README.md").read_text()
    settings = (KIT / "scripts" / "templates" / "settings.js").read_text()
    scripts = settings + (KIT / "events-to-file.xml").read_text() + (KIT / "events-to-http.xml").read_text()
    names = set(re.findall(r"(?:setting|number|list)\('(bridge\w+)'", settings))
    names |= set(re.findall(r"<host>\$\{(bridge\w+)\}", scripts))
    assert names
    explained = set(re.findall(r"^\| `(bridge\w+)`", page, re.MULTILINE))
    explained |= set(re.findall(r"`(bridge\w+)`", "\n".join(re.findall(r"^\| (`bridge.*?) \|", page, re.MULTILINE))))
    assert names == explained


def test_the_folder_has_no_file_that_the_page_does_not_name() -> None:
    page = (KIT / "README.md").read_text()
    assert all(name in page for name in [*FILES, "flow.svg"])
    assert Path(KIT / "flow.svg").exists()
