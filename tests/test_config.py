"""Settings and channel files: precedence, and every mistake at once with its place."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from bridge.app import checked_channels
from bridge.config import Settings, channels_place, load_channels, load_settings, starter_channels
from bridge.core.errors import ConfigError
from bridge.core.limits import DEFAULT_LIMITS, Limits
from bridge.core.model import Issuer
from bridge.core.normalisation import Normalisation, Sender, ValueRules
from bridge.core.policy import DEFAULT_POLICY
from tests.conftest import REPOSITORY

CHANNEL = """
[source]
data_type = "DICOM"
queue = "q"
bindings = ["dicom.#"]
"""


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the machine, and no settings file but the test's."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"BRIDGE_{name.upper()}", raising=False)
    monkeypatch.delenv("BRIDGE_CONFIG", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "user"))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "system"))
    monkeypatch.chdir(tmp_path)


def test_a_fresh_installation_needs_no_setting() -> None:
    settings, file = load_settings()
    assert file is None
    assert settings.amqp_url.get_secret_value() == "amqp://guest:guest@localhost:5672/%2F"
    assert settings.database_url.get_secret_value() == "sqlite:///bridge.db"
    assert (settings.settle_after, settings.hold_for) == (timedelta(seconds=60), timedelta(hours=24))
    assert (settings.site, settings.amqp_declare, settings.log_format) == ("default", "create", None)
    assert settings.limits == DEFAULT_LIMITS
    assert settings.policy == DEFAULT_POLICY


@pytest.mark.parametrize("place", ["file", "environment"])
def test_a_site_settles_how_identifiers_are_compared(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, place: str
) -> None:
    if place == "file":
        (tmp_path / "bridge.toml").write_text('strict_issuers = true\nperson_identifier_types = ["MR", "ZZ"]\n')
    else:
        monkeypatch.setenv("BRIDGE_STRICT_ISSUERS", "true")
        monkeypatch.setenv("BRIDGE_PERSON_IDENTIFIER_TYPES", "MR, ZZ,")
    policy = load_settings()[0].policy
    assert policy.strict_issuers
    assert policy.person_types == {None, "MR", "ZZ"}  # an empty CX.5 is always one


def test_issuers_are_strict_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIDGE_STRICT_ISSUERS", "perhaps")
    with pytest.raises(ConfigError, match="strict_issuers"):
        load_settings()


def test_each_bound_is_a_setting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bounds = [name for name in Limits.__struct_fields__ if name.startswith("max_")]
    for number, name in enumerate(bounds, 1):
        monkeypatch.setenv(f"BRIDGE_{name.upper()}", f"{number}")
    monkeypatch.setenv("BRIDGE_REFERENCE_FOLDERS", "/spool:/archive")
    limits = load_settings()[0].limits
    assert [getattr(limits, name) for name in bounds] == list(range(1, len(bounds) + 1))
    assert limits.reference_folders == ("/spool", "/archive")


def test_a_size_may_have_a_unit_and_folders_of_the_file_resolve_against_it(tmp_path: Path) -> None:
    file = tmp_path / "etc" / "bridge.toml"
    file.parent.mkdir()
    file.write_text('max_message_size = "16 MiB"\nmax_field_size = 7\nreference_folders = ["spool", "/archive"]\n')
    limits = load_settings(file)[0].limits
    assert (limits.max_message_size, limits.max_field_size) == (16 * 1024 * 1024, 7)
    assert limits.reference_folders == (str(file.parent / "spool"), "/archive")


def test_a_secret_of_the_file_may_be_what_a_variable_holds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "bridge.toml"
    file.write_text('amqp_url = { env = "VAULT_AMQP" }\n')
    monkeypatch.delenv("VAULT_AMQP", raising=False)
    with pytest.raises(ConfigError, match=r"bridge.toml: amqp_url: the environment has no VAULT_AMQP"):
        load_settings(file)
    monkeypatch.setenv("VAULT_AMQP", "amqp://u:secret@broker")
    assert load_settings(file)[0].broker_url == "amqp://u:secret@broker"
    file.write_text('amqp_url = { environment = "VAULT_AMQP" }\n')
    with pytest.raises(ConfigError, match=r"amqp_url: write a text, or \{ env"):
        load_settings(file)


def test_a_bound_of_nothing_is_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIDGE_MAX_SEGMENTS", "0")
    monkeypatch.setenv("BRIDGE_MAX_FIELD_SIZE", "much")
    with pytest.raises(ConfigError) as error:
        load_settings()
    assert len(error.value.mistakes) == 2


def test_the_environment_wins_over_the_file_and_relative_paths_resolve_against_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "etc"
    folder.mkdir()
    file = folder / "site.toml"
    file.write_text('site = "file"\nhold_for = "7d"\nchannels = "mine"\ndatabase_url = "sqlite:///data.db"\n')
    monkeypatch.setenv("BRIDGE_SITE", "environment")
    settings, found = load_settings(file)
    assert found == file
    assert settings.site == "environment"
    assert settings.hold_for == timedelta(days=7)
    assert settings.channels == folder / "mine"
    assert settings.database_url.get_secret_value() == f"sqlite:///{folder / 'data.db'}"


@pytest.mark.parametrize("place", ["bridge.toml", "user/hl7-dicom-bridge/bridge.toml"])
def test_a_settings_file_is_found_where_people_put_it(tmp_path: Path, place: str) -> None:
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / place).write_text('site = "found"\n')
    assert load_settings()[0].site == "found"


def test_a_secret_may_stand_in_a_file_and_is_never_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("amqp://user:hidden@host/\n")
    monkeypatch.setenv("BRIDGE_AMQP_URL_FILE", str(tmp_path / "secret"))
    settings, _ = load_settings()
    assert settings.amqp_url.get_secret_value() == "amqp://user:hidden@host/"
    assert "hidden" not in repr(settings)


def test_every_mistake_of_a_settings_file_is_reported_at_once(tmp_path: Path) -> None:
    file = tmp_path / "bridge.toml"
    file.write_text('sitte = "x"\nhold_for = "soon"\namqp_declare = "hidden-value"\n')
    with pytest.raises(ConfigError) as failure:
        load_settings(file)
    assert len(failure.value.mistakes) == 3
    assert "sitte: unknown key; did you mean site?" in str(failure.value)
    assert "hold_for: write a whole number and a unit" in str(failure.value)
    assert "hidden-value" not in str(failure.value)


def test_what_is_kept_is_a_time_or_for_ever_and_of_bodies_nothing_at_all() -> None:
    stated = Settings.model_validate({"retain_messages": "7d", "retain_bodies": "0", "retain_studies": "forever"})
    assert stated.retain_messages == timedelta(days=7)
    assert stated.retain_bodies == timedelta(0)
    assert stated.retain_studies is None


@pytest.mark.parametrize(
    ("name", "value"),
    [("messages", "0"), ("studies", "0d"), ("studies", "36501d"), ("studies", "9" * 20 + "d"), ("bodies", "none")],
)
def test_what_may_mean_to_keep_all_or_nothing_is_refused(name: str, value: str, tmp_path: Path) -> None:
    file = tmp_path / "bridge.toml"
    file.write_text(f'retain_{name} = "{value}"\n')
    with pytest.raises(ConfigError, match=f"retain_{name}: write .* or forever"):
        load_settings(file)


def test_a_settings_file_that_is_named_and_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no settings file"):
        load_settings(tmp_path / "nowhere.toml")


def test_the_shipped_channels_serve_where_there_is_no_folder() -> None:
    settings, _ = load_settings()
    assert channels_place(settings) == starter_channels()
    assert [channel.name for channel in checked_channels(starter_channels())] == ["images", "orders"]


def test_what_a_channel_file_leaves_out_has_a_default(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(CHANNEL)
    [channel] = load_channels(tmp_path)
    assert (channel.source.exchange, channel.source.prefetch, channel.source.batch) == ("bridge.in", 64, 200)
    assert channel.destinations[0].exchange == "bridge.events"
    assert channel.destinations[0].wants("instance.pending")
    assert channel.destinations[0].wants("message.rejected")


def test_what_is_disabled_is_no_channel(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("enabled = false\n" + CHANNEL)
    with pytest.raises(ConfigError, match="no enabled channel"):
        load_channels(tmp_path)


def test_mistakes_of_all_channel_files_are_reported_with_file_and_key(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(CHANNEL + 'prefech = 5\ntype = "kafka"\n')
    (tmp_path / "b.toml").write_text(CHANNEL.replace("dicom.#", "") + "[filter]\nmessage_types = ['ORM']\n")
    (tmp_path / "c.toml").write_text("not toml")
    with pytest.raises(ConfigError) as failure:
        load_channels(tmp_path)
    text = str(failure.value)
    assert "a.toml:6: source.prefech: unknown key; did you mean prefetch?" in text
    assert "a.toml:7: source.type" in text
    assert "b.toml:7: filter.message_types.0" in text
    assert "c.toml: " in text


ORDERS = CHANNEL.replace("DICOM", "HL7V2")
RULES = """
[transformer]
placeholders = ["tbd", " later "]
[transformer.issuers]
patient_id = "HOSP"
accession_number = "RIS&1.2.3&ISO"
filler_order_number = "&1.2.4&ISO"
placer_order_number = ""
[transformer.normalise]
requested_procedure_id = ["trim", "strip_suffix:/1"]
[[transformer.sender]]
when = { sending_application = "RADIMS", sending_facility = "NORTH" }
issuers = { patient_id = "" }
[[transformer.sender]]
when = { sending_facility = "NORTH" }
normalise = { requested_procedure_id = [] }
placeholders = []
[correlation]
settle_after = "90s"
hold_for = "7d"
"""


def test_a_channel_says_what_values_mean_the_most_specific_sender_last(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(ORDERS + RULES)
    [channel] = load_channels(tmp_path)
    assert channel.normalisation == Normalisation(
        ValueRules(
            issuers={
                "patient_id": Issuer("HOSP"),
                "accession_number": Issuer("RIS", "1.2.3", "ISO"),
                "filler_order_number": Issuer(None, "1.2.4", "ISO"),
                "placer_order_number": None,
            },
            steps={"requested_procedure_id": ("trim", "strip_suffix:/1")},
            placeholders=frozenset({"TBD", "LATER"}),
            date_formats=(),
        ),
        (
            Sender(
                {"sending_facility": "NORTH"},
                ValueRules(steps={"requested_procedure_id": ()}, placeholders=frozenset()),
                number=1,
            ),
            Sender(
                {"sending_application": "RADIMS", "sending_facility": "NORTH"},
                ValueRules(issuers={"patient_id": None}),
                number=0,
            ),
        ),
    )


def test_a_channel_that_says_nothing_of_values_and_times_has_no_rules_and_the_times_of_the_settings(
    tmp_path: Path,
) -> None:
    nothing = "[transformer]\nplaceholders = []\n[transformer.issuers]\npatient_id = ''\n[transformer.normalise]\n"
    for text in ("", nothing + "patient_id = []\n"):
        (tmp_path / "a.toml").write_text(CHANNEL + text)
        [channel] = load_channels(tmp_path)
        assert (channel.normalisation, channel.settle_after, channel.hold_for) == (None, None, None)


def test_a_channel_has_its_own_times_in_seconds(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(ORDERS + RULES)
    [channel] = load_channels(tmp_path)
    assert (channel.settle_after, channel.hold_for) == (90.0, 7 * 24 * 3600.0)


@pytest.mark.parametrize(
    ("lines", "mistake"),
    [
        ("[transformer.issuers]\npatient_id = 'HOSP^1.2.3'", "transformer.issuers.patient_id: write NAMESPACE or"),
        ("[transformer.issuers]\npatient_id = 'HOSP&1.2.3'", "transformer.issuers.patient_id: write NAMESPACE or"),
        (
            "[transformer.issuers]\npatientid = 'HOSP'",
            "transformer.issuers.patientid: unknown key; did you mean patient_id?",
        ),
        ("[transformer.normalise]\npatient_id = ['strip']", "transformer.normalise.patient_id.0: write trim, upper"),
        ("[transformer.normalise]\npatient_id = ['strip_prefix:']", "transformer.normalise.patient_id.0: write trim"),
        *(
            (f"[transformer.normalise]\npatient_id = ['{step}']", "transformer.normalise.patient_id.0: write trim")
            for step in ("split", "split:/", "split:/:0", "split:1", "split:/:x", "pad", "pad:0", "pad:08", "pad:65")
        ),
        ("[transformer]\nplaceholders = [' ']", "transformer.placeholders.0"),
        ("[[transformer.sender]]\nplaceholders = ['X']", "transformer.sender.0.when"),
        (
            "[[transformer.sender]]\nwhen = {}",
            "transformer.sender.0.when: of DICOM name calling_ae_title or station_name",
        ),
        ("[[transformer.sender]]\nwhen = { station_name = '' }", "transformer.sender.0.when.station_name"),
        ("[[transformer.sender]]\nwhen = { sending_facility = 'A' }", "transformer.sender.0.when: of DICOM name"),
        ("[[transformer.sender]]\nwhen = { station_name = 'A' }\n" * 2, "transformer.sender.1.when: stated twice"),
        ("[correlation]\nhold_for = 5", "correlation.hold_for: write a whole number and a unit"),
        ("[correlation]\nstrict = true", "correlation.strict: unknown key"),
        ("[[filter.accept]]\nin = ['CT']", "filter.accept.0: write exactly one of path, attribute, header"),
        (
            "[[filter.reject]]\nattribute = 'Modality'\nheader = 'calling-aet'\npresent = true",
            "filter.reject.0: write exactly one of path, attribute, header",
        ),
        ("[[filter.accept]]\nattribute = 'Modality'", "filter.accept.0: write exactly one of in, not_in, matches, pr"),
        (
            "[[filter.accept]]\nattribute = 'Modality'\nin = ['CT']\npresent = true",
            "filter.accept.0: write exactly one of in, not_in, matches, present",
        ),
        ("[[filter.accept]]\nattribute = 'Modality'\nin = []", "filter.accept.0.in"),
        ("[[filter.accept]]\nattribute = 'Modality'\nnotin = ['CT']", "filter.accept.0.notin: unknown key; did you me"),
        (
            "[[filter.accept]]\nattribute = 'Modality'\nmatches = '('",
            "filter.accept.0.matches: not a regular expression",
        ),
        ("[[filter.accept]]\nheader = 'calling-ae'\npresent = true", "filter.accept.0.header"),
        ("[[examples]]\nname = 'a'", "examples.0: write message, file or files"),
        ("[[examples]]\nname = 'a'\nfile = 'a'\nmessage = 'a'", "examples.0: write message, file or files"),
        ("[[examples]]\nname = 'a'\nfile = 'a'\nheaders = { aet = 'A' }", "examples.0.headers.aet"),
    ],
)
def test_a_mistake_in_a_channel_file_is_reported_with_its_key(tmp_path: Path, lines: str, mistake: str) -> None:
    (tmp_path / "a.toml").write_text(f"{CHANNEL}{lines}\n")
    with pytest.raises(ConfigError) as failure:
        load_channels(tmp_path)
    assert len(failure.value.mistakes) == 1
    assert re.search(rf"a\.toml:\d+: {re.escape(mistake)}", str(failure.value))


def test_two_channels_cannot_read_one_queue(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.toml").write_text(CHANNEL)
    with pytest.raises(ConfigError, match="queue q is the source of several channels"):
        load_channels(tmp_path)


def test_a_dicom_attribute_that_there_is_not_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(CHANNEL + "[[destinations]]\nattributes = ['PatientID', 'PatientIDD']\n")
    with pytest.raises(ConfigError, match="PatientIDD"):
        checked_channels(tmp_path)


@pytest.mark.parametrize("name", ["nonsense", "cp437"])
def test_a_character_set_that_hl7_is_not_read_in_is_a_mistake(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.toml").write_text(CHANNEL + f"charset = '{name}'\n")
    with pytest.raises(ConfigError, match=r"source\.charset"):
        checked_channels(tmp_path)


@pytest.mark.parametrize(
    "lines",
    [
        "[transformer]\ninstance_number = 'OBX-5'",
        "[transformer.order]\nInstanceNumber = ['OBX-5']",
        "[transformer.hl7]\n'OBX-5' = '(0020,0013)'",
    ],
)
def test_instance_number_cannot_be_mapped_to_an_hl7_field(tmp_path: Path, lines: str) -> None:
    (tmp_path / "a.toml").write_text(CHANNEL + lines + "\n")
    with pytest.raises(ConfigError, match=r"a.toml:7: transformer\..*HL7 v2 has no field"):
        load_channels(tmp_path)


def test_a_mapped_instance_number_hides_no_other_mistake(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(
        f"{CHANNEL}prefech = 5\n[transformer]\ninstance_number = 'OBX-5'\nx = '00200013'\n"
    )
    with pytest.raises(ConfigError) as failure:
        load_channels(tmp_path)
    one, other, last = failure.value.mistakes
    assert "a.toml:8: transformer.instance_number: HL7 v2 has no field" in one
    assert "a.toml:9: transformer.x: HL7 v2 has no field" in other
    assert "a.toml:6: source.prefech: unknown key" in last


def test_instance_number_may_be_one_of_the_attributes_that_events_carry(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(CHANNEL + "[[destinations]]\nattributes = ['InstanceNumber']\n")
    assert checked_channels(tmp_path)[0].destinations[0].attributes == ("InstanceNumber",)


TOLD = re.findall(
    r"^\| (HL7V2|DICOM) \| `(.*)` \| `(.*)` \|$", (REPOSITORY / "docs" / "channels.md").read_text(), re.MULTILINE
)


@pytest.mark.parametrize(("data_type", "line", "told"), TOLD, ids=[line for _, line, _ in TOLD])
def test_a_mistake_is_told_as_the_documentation_says(tmp_path: Path, data_type: str, line: str, told: str) -> None:
    source = f'source.data_type = "{data_type}"\nsource.queue = "q"\nsource.bindings = ["#"]\n'
    (tmp_path / "north.toml").write_text(f"{source}{line}\n")
    with pytest.raises(ConfigError) as failure:
        checked_channels(tmp_path)
    assert failure.value.mistakes == (f"{tmp_path / 'north.toml'}:4: {told}",)


def test_twenty_mistakes_are_documented() -> None:
    assert len(TOLD) >= 20
