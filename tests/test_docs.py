"""Documentation is tested: what the code has stands in `docs/`, and what `docs/` names is in the code."""

import json
import re
import tomllib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest
import typer
from pydantic import SecretStr

from bridge import __version__, app, cli
from bridge.config import Settings, channel_file_schema, load_channels
from bridge.core.channel import DEFAULT_ATTRIBUTES, READ_MESSAGES
from bridge.core.decision import CONTRADICTIONS, Verdict
from bridge.core.events import EVENTS
from bridge.core.identifiers import PERSON_TYPES, PLACEHOLDERS
from bridge.core.instance_number import Flag, Status
from bridge.core.limits import Limits
from bridge.core.rules import DERIVED_MODALITIES, RULES
from bridge.formats import hl7_charsets, places
from bridge.formats.reading import mistakes
from bridge.schema import event_schema
from bridge.store.store import Store

ROOT = Path(__file__).parent.parent
PAGES = {
    str(file.relative_to(ROOT)): file.read_text()
    for file in sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
}
CODE = {file: file.read_text() for file in sorted((ROOT / "bridge").rglob("*.py"))}
_TOP: dict[str, Any] = typer.main.get_command(cli.cli).commands  # type: ignore[attr-defined]  # it is a group
COMMANDS: dict[str, Any] = {  # those of a group under the names of both: `dead list`
    " ".join((name, *inner)): found
    for name, command in _TOP.items()
    for inner, found in ([((i,), c) for i, c in getattr(command, "commands", {}).items()] or [((), command)])
}

IN_BACKTICKS = re.compile(r"`([^`\n]+)`")


def rows(page: str) -> Iterator[list[str]]:
    """The cells of each table row of a page."""
    for line in PAGES[page].splitlines():
        if line.startswith("| "):
            yield [cell.strip() for cell in line.strip("|").split(" | ")]


def row(page: str, name: str) -> list[str]:
    """The row that is about `name`, which stands in backticks in its first cell."""
    return next((cells for cells in rows(page) if name in IN_BACKTICKS.findall(cells[0])), [])


def explained(page: str) -> set[str]:
    """What a page's tables explain: all that stands in backticks in a first cell."""
    return {name for cells in rows(page) for name in IN_BACKTICKS.findall(cells[0])}


def in_code(pattern: str, **parts: list[str]) -> set[str]:
    """What a pattern finds in the code; `{name}` in it, from an f-string, stands for each of `parts[name]`."""
    found = {text for code in CODE.values() for text in re.findall(pattern, code)}
    for name, values in parts.items():
        found = {text.replace(f"{{{name}}}", value) for text in found for value in values}
    return found


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_explained_with_its_options(name: str) -> None:
    [cells] = [
        cells for cells in rows("docs/operations.md") if re.fullmatch(rf"`bridge {name}( [A-Z\[…\]]+)*`", cells[0])
    ]
    options = {option for parameter in COMMANDS[name].params for option in parameter.opts if option.startswith("--")}
    for option in options - {"--help"}:
        assert option in cells[1]


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_explained_with_its_default(name: str) -> None:
    variable, field = f"BRIDGE_{name.upper()}", Settings.model_fields[name]
    cells = row("docs/operations.md", variable)
    assert cells[1] == f"`{name}`"
    match field.default:
        case None:
            assert cells[2]
        case SecretStr():
            assert cells[2] == f"`{field.default.get_secret_value()}`"
            assert f"`{variable}_FILE`" in PAGES["docs/operations.md"]
        case bool():
            assert cells[2] == f"`{str(field.default).lower()}`"
        case tuple() if field.default:
            assert tuple(IN_BACKTICKS.findall(cells[2])) == field.default
        case timedelta():
            text = IN_BACKTICKS.findall(cells[2])[0]
            assert Settings.model_validate({name: text}) == Settings()
        case default:
            assert cells[2] == f"`{default}`"


def channel_keys(
    schema: dict[str, Any], shape: dict[str, Any], seen: set[str], place: str = ""
) -> Iterator[tuple[str, Any]]:
    """Every key of a channel file with its default, None where there is none; a table that comes again as one key."""
    for name, stated in shape["properties"].items():
        reference = stated.get("$ref") or stated.get("items", {}).get("$ref") or ""
        inner = schema["$defs"].get(reference.rpartition("/")[2], {})
        if "properties" in inner and reference not in seen:
            seen.add(reference)
            yield from channel_keys(schema, inner, seen, f"{place}{name}.")
        else:
            yield f"{place}{name}", stated.get("default")


_CHANNEL_FILE = channel_file_schema()


@pytest.mark.parametrize(("key", "default"), list(channel_keys(_CHANNEL_FILE, _CHANNEL_FILE, set())))
def test_every_channel_key_is_explained_with_its_default(key: str, default: object) -> None:
    cells = row("docs/channels.md", key)
    assert cells, key
    match default:
        case None | "" | {}:
            assert cells[1]
        case bool():
            assert cells[1] == f"`{str(default).lower()}`"
        case list() if len(default) > 5:
            assert cells[1] == "see below"
        case list():
            assert IN_BACKTICKS.findall(cells[1]) == default
        case _:
            assert cells[1] == f"`{default}`"


def test_the_default_attributes_are_listed() -> None:
    [listed] = re.findall(r"`destinations.attributes` is by default (.*?)\. ", PAGES["docs/channels.md"], re.DOTALL)
    assert tuple(IN_BACKTICKS.findall(listed)) == DEFAULT_ATTRIBUTES


def test_every_event_is_explained_and_no_other() -> None:
    section = PAGES["docs/events.md"].partition("## Which event when")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `([a-z.]+)` \|", section, re.MULTILINE)) == set(EVENTS)


@pytest.mark.parametrize("event", EVENTS)
def test_every_field_of_an_event_is_named(event: str) -> None:
    schema = event_schema(event)
    fields = {name for shape in schema["$defs"].values() for name in shape.get("properties", {})}
    assert fields
    for name in fields:
        assert re.search(rf"\b{name}\b", PAGES["docs/events.md"]), name


def test_every_example_of_an_event_is_valid_by_its_schema() -> None:
    examples = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", PAGES["docs/events.md"], re.DOTALL)]
    assert len({example["type"].split(".")[3] for example in examples}) == 3
    for example in examples:
        name = example["type"].removeprefix("io.github.hl7dicombridge.").removesuffix(".v1")
        jsonschema.Draft202012Validator(event_schema(name)).validate(example)


def test_every_error_code_is_explained_and_no_other() -> None:
    uids = in_code(r'_required_uid\(header, \w+, "([a-z-]+)"\)')
    codes = in_code(r'Invalid\(\s*f?"([a-z0-9{}-]+)"', name=sorted(uids))
    assert len(codes) > 30
    bounds = {name.replace("_", "-") for name in Limits.__struct_fields__ if name.startswith("max_")}
    section = PAGES["docs/operations.md"].partition("### Codes")[2].partition("\n## ")[0]
    documented = {
        code for cell in re.findall(r"^\| (`.*?) \|", section, re.MULTILINE) for code in IN_BACKTICKS.findall(cell)
    }
    assert documented == codes | bounds


def test_every_message_type_and_content_type_that_is_read_is_listed() -> None:
    listed = {name for cells in rows("docs/conformance.md") for name in cells[0].split(", ")}
    assert set(READ_MESSAGES) <= listed
    assert in_code(r'"((?:x-)?(?:application|text)/[a-z0-9.+-]+)"') == {
        name
        for cells in rows("docs/conformance.md")
        for name in IN_BACKTICKS.findall(" ".join(cells[:2]))
        if "/" in name and name.startswith(("application/", "text/", "x-application/"))
    } | {"application/cloudevents+json"}


def test_every_segment_that_is_read_is_listed() -> None:
    section = PAGES["docs/conformance.md"].partition("**Segments.**")[2].partition("### ")[0]
    listed = {name for line in section.splitlines() for name in IN_BACKTICKS.findall(line.split(" | ")[0])}
    readers = [file for file in CODE if file.name.startswith("hl7") and file.name != "hl7_names.py"]
    named = {name for file in readers for name in re.findall(r'"([A-Z][A-Z0-9]{2})"', CODE[file])}
    others = {"ACK", "ORM", "OMI", "OMG", "ORU", "DCM", "UTC", "NTE"}  # types, names, what a batch leaves out
    triggers = {name for name in named if re.fullmatch(r"[A-Z][0-9]{2}", name)}
    assert named - others - triggers == listed


def test_every_character_set_of_the_documentation_is_known() -> None:
    section = PAGES["docs/conformance.md"].partition("| MSH-18 | read as |")[2].partition("\n\n")[0]
    names = [name for line in section.splitlines()[2:] for name in IN_BACKTICKS.findall(line.split(" | ")[0])]
    assert len(names) > 25
    for name in names:
        known = hl7_charsets.codec(name.replace("…", "2" if name.startswith("W") else "1"))
        assert known if name != "CNS 11643-1992" else known is None, name


def test_every_warning_about_a_header_is_explained() -> None:
    section = PAGES["docs/conformance.md"].partition("### Warnings about a header")[2].partition("\n#")[0]
    explained_warnings = [text for line in section.splitlines() for text in IN_BACKTICKS.findall(line.split(" | ")[0])]
    given = in_code(r'\.(?:warn|left_out|unreadable)\(\s*[^"]*?f?"([^"]+)"')
    for warning in given:
        start = re.split(r"[{:]", warning)[0].strip().lstrip("; ")
        assert any(start[:20] in text or text[:20] in warning for text in explained_warnings), warning


def test_every_reason_contradiction_and_warning_is_explained() -> None:
    findings = in_code(r'Finding\(\s*f?"([a-z{}-]+)"', rule=[rule.name for rule in RULES])
    assert set(CONTRADICTIONS) < findings
    assert findings | set(Verdict) <= explained("docs/correlation.md")  # the rest: tests/core/test_correlation_docs.py
    for hint in in_code(r'"(format-only)"') | {rule.name for rule in RULES}:
        assert f"`{hint}`" in PAGES["docs/correlation.md"]


def test_what_is_no_key_and_no_patient_identifier_is_listed() -> None:
    words = set(re.findall(r"[A-Z/]+", PAGES["docs/correlation.md"]))
    assert {*PLACEHOLDERS, *DERIVED_MODALITIES, *filter(None, PERSON_TYPES)} <= words


def test_every_status_and_flag_of_instance_number_is_explained() -> None:
    assert set(get_args(Flag)) <= explained("docs/events.md")
    for status in get_args(Status):
        assert f"`{status}`" in PAGES["docs/events.md"]


def test_every_exit_code_is_explained_and_no_other() -> None:
    section = PAGES["docs/operations.md"].partition("### Exit codes")[2].partition("\n## ")[0]
    codes = {value for module in (cli, app) for name, value in vars(module).items() if name.startswith("EXIT_")}
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", section, re.MULTILINE)} == codes | {0}


def test_what_the_readme_calls_missing_is_missing() -> None:
    limits = PAGES["README.md"].partition("## Limits of this version")[2]
    missing = {word for name in IN_BACKTICKS.findall(limits) for word in name.removeprefix("bridge ").split()}
    assert not missing & {*EVENTS, *COMMANDS}


def slugs(page: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", page, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_every_relative_link_leads_to_a_file_and_a_heading(page: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", PAGES[page]):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), target
        if anchor:
            assert anchor in slugs(file.read_text()), target


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_is_named_exists(page: str) -> None:
    for name in IN_BACKTICKS.findall(PAGES[page]):
        if re.fullmatch(r"(bridge|channels|docs|tests)/[\w./-]*", name):
            assert (ROOT / name).exists(), name


def test_every_function_of_the_walks_is_in_the_file_that_is_named() -> None:
    steps = [cells for cells in rows("docs/architecture.md") if len(cells) == 3 and cells[0].endswith(".py`")]
    walks = [(file.strip("`"), name.strip("`")) for file, name, _ in steps if name.startswith("`")]
    assert len(walks) > 20
    for file, name in walks:
        for part in name.split("."):
            assert re.search(rf"^\s*(def|class) {part}\b", (ROOT / file).read_text(), re.MULTILINE), (file, name)


@pytest.mark.parametrize("page", PAGES)
def test_every_python_example_compiles(page: str) -> None:
    for source in re.findall(r"```python\n(.*?)```", PAGES[page], re.DOTALL):
        compile(source, page, "exec")


def test_the_channel_file_with_every_part_can_be_loaded(tmp_path: Path) -> None:
    parts = re.findall(r"```toml\n(.*?)```", PAGES["docs/channels.md"], re.DOTALL)
    _guide, filters, of_orders, of_patients, of_objects, dates, destinations, _examples, text, _scenario = parts
    (tmp_path / "north.toml").write_text(f"{text}\n{filters}\n{of_orders}")
    images = (ROOT / "channels" / "images.toml").read_text()
    (tmp_path / "objects.toml").write_text(f"{images}\n{of_objects}")
    source = '[source]\ndata_type = "HL7V2"\nqueue = "p"\nbindings = ["#"]\n'
    (tmp_path / "patients.toml").write_text(f"{source}{dates}\n{of_patients}")
    (tmp_path / "two.toml").write_text(f"[source]\ndata_type = 'DICOM'\nqueue = 'q'\nbindings = ['#']\n{destinations}")
    channel, objects, patients, two = load_channels(tmp_path)
    assert [said for one in (channel, objects, patients, two) for said in mistakes(one)] == []
    assert [one.name for one in two.destinations] == ["events", "chest-ai"]
    assert (len(channel.filter.accept), len(channel.filter.reject)) == (1, 1)
    assert channel.source.timezone == "Europe/Berlin"
    assert channel.normalisation is not None
    assert channel.hold_for == 2 * 24 * 3600


_IN_HL7 = {**places.USUAL["order"], **places.USUAL["patient"]}


@pytest.mark.parametrize("usual", _IN_HL7.values(), ids=_IN_HL7)
def test_the_usual_places_are_those_of_the_conformance_statement(usual: tuple[str, ...]) -> None:
    assert any(cells[1].partition("; ")[0] == ", ".join(usual) for cells in rows("docs/conformance.md"))


def test_what_is_to_be_done_after_a_restore_gives_the_database_a_new_epoch(database_url: str) -> None:
    program = "psql" if database_url.startswith("postgresql") else "sqlite3"
    [statement] = re.findall(rf'^    {program} .*"(UPDATE setting .+)"$', PAGES["docs/operations.md"], re.MULTILINE)
    store = Store(database_url)
    store.migrate()
    before = store.epoch()
    with store.write() as db:
        db.connection.exec_driver_sql(statement)
    assert re.fullmatch("[0-9a-f]{32}", store.epoch())
    assert store.epoch() != before
    store.close()


def test_every_file_that_a_unit_reads_is_made_in_the_steps() -> None:
    [steps] = [block for block in PAGES["docs/operations.md"].split("\n\n") if "systemctl enable --now" in block]
    units = [file.read_text() for file in sorted((ROOT / "docs" / "systemd").iterdir())]
    for made in {file for unit in units for file in re.findall(r"^LoadCredential=[\w-]+:(.+)$", unit, re.MULTILINE)}:
        assert re.search(rf"\(umask 077; .+ > {made}\)", steps)
    assert "python3 -m venv /opt/hl7-dicom-bridge\n" in steps
    assert all("\nExecStart=/opt/hl7-dicom-bridge/bin/hl7-dicom-bridge run\n" in unit for unit in units)


def test_the_settings_file_can_be_loaded() -> None:
    [text] = re.findall(r"```toml\n(.*?)```", PAGES["docs/operations.md"], re.DOTALL)
    assert Settings.model_validate(tomllib.loads(text)).site == "main-hospital"


def test_the_changelog_has_this_version_and_the_package_too() -> None:
    assert f"\n## {__version__} - " in PAGES["CHANGELOG.md"]
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == __version__
