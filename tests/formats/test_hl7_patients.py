"""Patient messages (ADT) to updates, merges and links: who is meant, and what is refused rather than guessed."""

import pytest
from msgspec import UNSET

from bridge.core.channel import PATIENT_MESSAGES
from bridge.core.errors import Invalid
from bridge.core.limits import Limits
from bridge.core.model import (
    Identifier,
    IdentityChange,
    Issuer,
    MessageSource,
    PatientUpdate,
    PersonName,
)
from tests.formats.er7 import header, read, segment

HOSP = Issuer("HOSP")
EVN = "EVN|A08|20260102081500"
PID = segment("PID", f3="1CT1^^^HOSP^MR", f5="Doe^Jane", f7="19500101", f8="F", f18="ACCT1")
PV1 = segment("PV1", f2="I", f19="V1")
MRG = segment("MRG", f1="9OLD9^^^HOSP^MR", f3="ACCT9", f7="Roe^Jane")
MERGES = ("ADT^A18", "ADT^A34", "ADT^A36", "ADT^A40", "ADT^A47")


def patients(*lines: str) -> list[PatientUpdate]:
    return [fact for fact in read(*lines).facts if isinstance(fact, PatientUpdate)]


def changes(*lines: str) -> list[IdentityChange]:
    return [fact for fact in read(*lines).facts if isinstance(fact, IdentityChange)]


def refusal(*lines: str, limits: Limits | None = None) -> Invalid:
    with pytest.raises(Invalid) as refused:
        read(*lines, limits=limits or Limits())
    return refused.value


def test_everything_that_an_adt_a08_says_is_read_field_by_field() -> None:
    found = read(header("ADT^A08^ADT_A01", version="2.5.1"), EVN, PID, PV1)
    assert found.facts == (
        PatientUpdate(
            message_time="2026-01-02T08:15:00Z",
            event="A08",
            source=MessageSource("RIS", "MAIN", "ADT^A08", "C1", "hl7"),
            patient_identifiers=(Identifier("1CT1", "PID-3.1", HOSP, "MR"),),
            patient_names=(PersonName("Doe^Jane"),),
            birth_date="1950-01-01",
            sex="F",
            visit_number="V1",
            account_number="ACCT1",
        ),
    )
    assert found.warnings == ()


@pytest.mark.parametrize("message_type", PATIENT_MESSAGES)
def test_each_patient_message_is_one_update_that_names_its_event(message_type: str) -> None:
    (update,) = patients(header(message_type), PID)
    assert f"ADT^{update.event}" == message_type


@pytest.mark.parametrize(
    ("evn2", "sent", "message_time"),
    [
        ("20260102081500", "20260102083000", "2026-01-02T08:15:00Z"),
        ("", "20260102083000", "2026-01-02T08:30:00Z"),
        ("20260102081500", "", "2026-01-02T08:15:00Z"),
        ("20260102", "20260102083000", "2026-01-02T08:30:00Z"),
        ("20260102", "20260103", "2026-01-02T00:00:00Z"),
        ("20110613122406637", "", "2011-06-13T12:24:06.637Z"),
        ("soon", "20260102083000", "2026-01-02T08:30:00Z"),
        ("", "", ""),
    ],
)
def test_the_time_is_that_of_the_event_or_of_the_message_the_first_with_a_time_of_day(
    evn2: str, sent: str, message_time: str
) -> None:
    (update,) = patients(header("ADT^A08", sent=sent), f"EVN|A08|{evn2}", PID)
    assert update.message_time == message_time
    (merged, merge) = read(header("ADT^A40", sent=sent), f"EVN|A40|{evn2}", PID, MRG).facts
    assert (merged.message_time, merge.message_time) == (message_time, message_time)


def test_what_is_absent_is_unset_and_what_is_deleted_is_none() -> None:
    (update,) = patients(header("ADT^A08"), "PID|||1CT1")
    assert (update.patient_names, update.birth_date, update.sex) == (UNSET, UNSET, UNSET)
    assert (update.visit_number, update.account_number) == (UNSET, UNSET)
    deleting = segment("PID", f3="1CT1", f5='""', f7='""', f8='""', f18='""')
    (update,) = patients(header("ADT^A08"), deleting, segment("PV1", f19='""'))
    assert update.patient_names == ()
    assert (update.birth_date, update.sex, update.visit_number, update.account_number) == (None, None, None, None)


@pytest.mark.parametrize(
    ("pid", "identifiers"),
    [
        ("PID||604^^^VET", (Identifier("604", "PID-2.1", Issuer("VET")),)),
        ('PID||604|""', (Identifier("604", "PID-2.1"),)),
        ('PID||604|""~A1', (Identifier("A1", "PID-3[2].1"),)),
    ],
)
def test_pid_2_stands_in_for_pid_3_where_that_names_nobody(pid: str, identifiers: tuple[Identifier, ...]) -> None:
    (update,) = patients(header("ADT^A08"), pid)
    assert update.patient_identifiers == identifiers


@pytest.mark.parametrize("pid", ["PID", "PID|1", "PID|||", 'PID|||""', "PID|||^^^HOSP", "PID||||OTHER|Doe^Jane"])
def test_a_patient_without_any_identifier_is_refused_with_the_place(pid: str) -> None:
    refused = refusal(header("ADT^A08"), pid)
    assert (refused.code, refused.reason) == ("hl7-no-patient", "PID-3 and PID-2 hold no identifier")


@pytest.mark.parametrize("message_type", ["ADT^A01", "ADT^A31", *MERGES, "ADT^A24", "ADT^A37"])
def test_a_message_without_pid_is_refused(message_type: str) -> None:
    refused = refusal(header(message_type), EVN, MRG)
    assert (refused.code, refused.reason) == ("hl7-no-patient", "the message has no PID segment")


def test_several_patients_are_one_update_each_with_their_own_visits() -> None:
    first, second = patients(header("ADT^A05"), PID, PV1, segment("PV1", f19="V2"), "PID|||2MR1", "PV1|2")
    assert (first.visit_number, second.visit_number) == ("V1", UNSET)
    assert second.patient_identifiers == (Identifier("2MR1", "PID[2]-3.1"),)


def test_an_empty_pid_beside_one_that_names_a_patient_is_a_warning() -> None:
    found = read(header("ADT^A04"), "PID|", "PID|||2MR1")
    assert [update.patient_identifiers for update in found.facts] == [(Identifier("2MR1", "PID[2]-3.1"),)]
    assert found.warnings == ("PID-3 and PID-2 hold no identifier: PID is not read",)


def test_the_prior_account_number_of_a_change_of_status_merges_nobody() -> None:
    for message_type in ("ADT^A06", "ADT^A07"):
        found = read(header(message_type), PID, PV1, MRG)
        assert [type(fact) for fact in found.facts] == [PatientUpdate]
        assert found.warnings == ()


@pytest.mark.parametrize(
    ("message_type", "lines"), [("ADT^A01", (PID, MRG)), ("ADT^A08", (MRG, PID)), ("ADT^A24", (PID, "PID|||2", MRG))]
)
def test_an_mrg_in_a_message_that_merges_nobody_is_a_warning(message_type: str, lines: tuple[str, ...]) -> None:
    found = read(header(message_type), *lines)
    assert "merge" not in [fact.kind for fact in found.facts if isinstance(fact, IdentityChange)]
    assert found.warnings == (f"MRG is not read: {message_type} merges no patients",)


@pytest.mark.parametrize("message_type", MERGES)
def test_a_merge_is_an_update_of_the_survivor_and_a_directed_change(message_type: str) -> None:
    found = read(header(message_type), "EVN||20260102081500", PID, "PD1||", MRG, PV1)
    update, change = found.facts
    assert isinstance(update, PatientUpdate)
    assert (update.birth_date, update.visit_number) == ("1950-01-01", "V1")
    event = message_type[-3:]
    assert change == IdentityChange(
        message_time="2026-01-02T08:15:00Z",
        event=event,
        source=MessageSource("RIS", "MAIN", message_type, "C1", "hl7"),
        kind="merge",
        patient_identifiers=(Identifier("1CT1", "PID-3.1", HOSP, "MR"),),
        prior_identifiers=(Identifier("9OLD9", "MRG-1.1", HOSP, "MR"),),
        prior_names=(PersonName("Roe^Jane"),),
    )
    assert found.warnings == ()


def test_each_of_several_pairs_is_a_change_of_its_own_in_the_messages_sequence() -> None:
    pairs = ("PID|||A^^^HOSP", "PD1|", "MRG|B^^^HOSP", "PV1|1", "PID|||C^^^HOSP", "MRG|D^^^HOSP", "MRG|E^^^HOSP")
    facts = read(header("ADT^A40"), EVN, *pairs).facts
    said = [
        (fact.patient_identifiers[0].where, *(prior.value for prior in fact.prior_identifiers))
        if isinstance(fact, IdentityChange)
        else fact.patient_identifiers[0].value
        for fact in facts
    ]
    assert said == ["A", ("PID-3.1", "B"), "C", ("PID[2]-3.1", "D"), ("PID[2]-3.1", "E")]


def test_every_repetition_on_both_sides_of_a_merge_is_kept_with_its_issuer() -> None:
    (change,) = changes(header("ADT^A40"), "PID|||A^^^EAST^MR~B^^^WEST^PI", "MRG|C^^^EAST~D^^^WEST&1.2&ISO^PI")
    assert [one.value for one in change.patient_identifiers] == ["A", "B"]
    assert change.prior_identifiers == (
        Identifier("C", "MRG-1.1", Issuer("EAST")),
        Identifier("D", "MRG-1[2].1", Issuer("WEST", "1.2", "ISO"), "PI"),
    )


@pytest.mark.parametrize("mrg", ["MRG||ALT||OLD^^^HOSP", 'MRG|""|ALT||OLD^^^HOSP'])
def test_mrg_4_stands_in_for_mrg_1_and_the_alternate_identifiers_never(mrg: str) -> None:
    (change,) = changes(header("ADT^A18"), PID, mrg)
    assert change.prior_identifiers == (Identifier("OLD", "MRG-4.1", HOSP),)


@pytest.mark.parametrize(
    ("lines", "code", "reason"),
    [
        ((PID,), "hl7-no-prior-identifier", "PID has no MRG behind it"),
        ((MRG, PID), "hl7-no-patient", "MRG has no PID before it"),
        ((MRG, PID, MRG), "hl7-no-patient", "MRG has no PID before it"),
        ((PID, "PID|||2", MRG), "hl7-no-prior-identifier", "PID has no MRG behind it"),
        ((PID, MRG, "PID|||2"), "hl7-no-prior-identifier", "PID[2] has no MRG behind it"),
        ((PID, "MRG|"), "hl7-no-prior-identifier", "MRG-1 and MRG-4 hold no identifier"),
        ((PID, MRG, 'MRG|""'), "hl7-no-prior-identifier", "MRG[2]-1 and MRG[2]-4 hold no identifier"),
        ((PID, "MRG||ALT|ACCT"), "hl7-no-prior-identifier", "MRG-1 and MRG-4 hold no identifier"),
        (("PID|1", MRG), "hl7-no-patient", "PID-3 and PID-2 hold no identifier"),
        ((PID, MRG, 'PID|||""', MRG), "hl7-no-patient", "PID[2]-3 and PID[2]-2 hold no identifier"),
    ],
)
def test_a_merge_that_leaves_open_who_becomes_whom_is_refused_with_the_place(
    lines: tuple[str, ...], code: str, reason: str
) -> None:
    for message_type in MERGES:
        refused = refusal(header(message_type), EVN, *lines)
        assert (refused.code, refused.reason) == (code, reason)


def test_a_prior_identifier_that_survives_is_kept_and_a_warning() -> None:
    found = read(header("ADT^A40"), "PID|||A^^^HOSP~B^^^HOSP", "MRG|C^^^HOSP~B^^^HOSP")
    assert found.warnings == ("MRG-1[2].1 is the same identifier as PID-3[2].1",)
    assert isinstance(found.facts[1], IdentityChange)
    assert [one.value for one in found.facts[1].prior_identifiers] == ["C", "B"]
    assert read(header("ADT^A40"), "PID|||A^^^EAST", "MRG|A^^^WEST").warnings == ()


@pytest.mark.parametrize(("message_type", "kind"), [("ADT^A24", "link"), ("ADT^A37", "unlink")])
def test_a_link_is_of_the_two_patients_of_the_message(message_type: str, kind: str) -> None:
    found = read(header(message_type), EVN, PID, "PD1|", PV1, "PID|||2MR1^^^HOSP||Roe^Jane", "PV1|2")
    one, other, change = found.facts
    assert isinstance(one, PatientUpdate)
    assert isinstance(other, PatientUpdate)
    assert isinstance(change, IdentityChange)
    assert (one.visit_number, other.visit_number) == ("V1", UNSET)
    assert (change.kind, change.event) == (kind, message_type[-3:])
    assert change.patient_identifiers == (Identifier("1CT1", "PID-3.1", HOSP, "MR"),)
    assert change.prior_identifiers == (Identifier("2MR1", "PID[2]-3.1", HOSP),)
    assert change.prior_names == (PersonName("Roe^Jane"),)


@pytest.mark.parametrize("message_type", ["ADT^A24", "ADT^A37"])
def test_a_link_of_other_than_two_patients_is_refused(message_type: str) -> None:
    for lines in ((PID,), (PID, PID, PID), (PID, MRG)):
        refused = refusal(header(message_type), *lines)
        assert refused.code == "hl7-not-two-patients"
    assert refused.reason == f"the message has 1 PID segments, {message_type[-3:]} two"
    assert refusal(header(message_type), PID, "PID|2").reason == "PID[2]-3 and PID[2]-2 hold no identifier"
    assert refusal(header(message_type), "PID|1", PID).reason == "PID-3 and PID-2 hold no identifier"


def test_more_patients_or_merges_than_the_bound_are_refused_with_its_name() -> None:
    limits = Limits(max_orders=2)
    assert read(header("ADT^A40"), PID, MRG, PID, MRG, limits=limits).facts
    assert refusal(header("ADT^A40"), *(PID, MRG) * 3, limits=limits).code == "max-orders"
    assert refusal(header("ADT^A40"), PID, *[MRG] * 3, limits=limits).code == "max-orders"
    assert refusal(header("ADT^A08"), *[PID] * 3, limits=limits).code == "max-orders"


@pytest.mark.parametrize("lines", [("PID|1|OLD|A\ufffd", "MRG|B"), ("PID|1||A", "MRG|B\ufffd|||C")])
def test_a_merge_with_a_lost_character_is_refused_and_never_made_with_another_number(lines: tuple[str, ...]) -> None:
    with pytest.raises(Invalid, match="hl7-lost-characters"):
        read(header("ADT^A40"), *lines)
