"""What a channel says about values, applied to the identifiers of every kind of fact."""

from typing import Any

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from bridge.core.instance_number import parse_instance_number
from bridge.core.model import (
    Appointment,
    Fact,
    Identifier,
    IdentityChange,
    Instance,
    Issuer,
    MessageSource,
    OrderNumbers,
    OrderUpdate,
    Patient,
    PatientUpdate,
    PersonName,
    Report,
    Request,
    ScheduledStep,
    Stated,
)
from bridge.core.normalisation import STEP, Normalisation, Sender, ValueRules, names_nobody, normalised
from bridge.core.struct import encode
from tests.core.builders import header, identifiers, number, request, update

SOURCE = MessageSource("RADIMS", "NORTH", "ADT^A40", "1", "orders")
NUMBERS = ("patient_id", "accession_number", "placer_order_number", "filler_order_number")
HOSP = Issuer("HOSP", "1.2.3", "ISO")


def cleaned(fact: Any, rules: ValueRules) -> Any:
    return normalised(fact, Normalisation(rules), {})


def steps(*written: str, kind: str = "accession_number") -> ValueRules:
    assert all(STEP.fullmatch(step) for step in written)
    return ValueRules(steps={kind: written})


def instance(**stated: Any) -> Instance:
    return Instance(
        sop_instance_uid="1.1",
        sop_class_uid=None,
        sop_class_name=None,
        series_instance_uid=None,
        transfer_syntax_uid=None,
        series_number=None,
        number_of_frames=None,
        instance_number=parse_instance_number(None, None),
        dicom={},
        **{"statement": header(), **stated},
    )


@pytest.mark.parametrize(
    ("written", "value", "expected"),
    [
        (("strip_prefix:N-", "strip_leading_zeros"), "N-0048213", "48213"),
        (("strip_leading_zeros", "strip_prefix:N-"), "N-0048213", "0048213"),  # in the sequence that is stated
        (("upper",), "n-48213", "N-48213"),
        (("lower",), "N-48213", "n-48213"),
        (("strip_prefix:N-",), "n-48213", "n-48213"),
        (("strip_prefix:N-",), "N-N-48213", "N-48213"),
        (("strip_suffix:/CT",), "48213/CT", "48213"),
        (("strip_prefix:A:B",), "A:B7", "7"),
        (("strip_prefix:N", "trim", "strip_leading_zeros"), "N 0048213", "48213"),
        (("strip_prefix:N",), "N 48213", "48213"),  # what is compared is always trimmed
        (("trim",), "A1", "A1"),
        (("split:/:1",), "48213/2", "48213"),
        (("split:/:2",), "48213/ 2/1", "2"),
        (("split:^^:2",), "A^^48213", "48213"),
        (("split:::2",), "A:48213", "48213"),  # the last colon stands before the number
        (("split:/:2",), "48213", "48213"),  # no such part
        (("split:/:1",), "/48213", "/48213"),  # of nothing: absent it would contradict nobody
        (("pad:8",), "48213", "00048213"),
        (("pad:4",), "48213", "48213"),
        (("pad:8",), "A48213", "A48213"),  # no number
        (("pad:8",), "\N{ARABIC-INDIC DIGIT FOUR}", "\N{ARABIC-INDIC DIGIT FOUR}"),
        (("split:-:2", "strip_leading_zeros", "pad:6"), "N-0048213", "048213"),
    ],
)
def test_steps_clean_a_value_one_after_the_other(written: tuple[str, ...], value: str, expected: str) -> None:
    before = update(accession_numbers=(Identifier(value, "OBR-18"),))

    assert cleaned(before, steps(*written)).accession_numbers == (Identifier(expected, "OBR-18"),)


def test_an_identifier_without_issuer_gets_the_default_one_and_keeps_place_and_type() -> None:
    rules = ValueRules(issuers={"patient_id": HOSP})
    before = PatientUpdate(
        "", "A08", SOURCE, patient_identifiers=(*identifiers("7^^MR 8^NORTH"), Identifier("9", "x", Issuer()))
    )

    after = cleaned(before, rules)

    assert after.patient_identifiers == (
        Identifier("7", "PID-3[1].1", HOSP, "MR"),
        Identifier("8", "PID-3[2].1", Issuer("NORTH")),
        Identifier("9", "x", HOSP),
    )


def every_fact(value: str, step_id: str = "S1") -> list[Fact]:
    """Each kind of fact with this value wherever an identifier can stand."""
    one, step = Identifier(value, "x"), Stated(step_id, "x")
    numbers: dict[str, Any] = {
        "placer_order_number": one,
        "filler_order_number": one,
        "requested_procedure_id": Stated(value, "x"),
    }
    patient = Patient((one, one))
    return [
        update(
            accession_numbers=(one,),
            scheduled_steps=(ScheduledStep(step_id, "CT"),),
            patient_identifiers=(one,),
            replaces=OrderNumbers(one, one),
            parent=OrderNumbers(one, one),
            **numbers,
        ),
        PatientUpdate("", "A08", SOURCE, patient_identifiers=(one,)),
        IdentityChange("", "A40", SOURCE, "merge", (one,), (one, one)),
        Report("", SOURCE, patient, accession_numbers=(one,), **numbers),
        Appointment("", "S12", SOURCE, patient, placer_order_numbers=(one,), filler_order_numbers=(one,)),
        instance(
            statement=replace(
                header(patient=patient),
                accession_number=one,
                requests=(Request(accession_number=one, scheduled_procedure_step_id=step, **numbers),),
            )
        ),
    ]


RULES = ValueRules(
    issuers=dict.fromkeys(NUMBERS, HOSP),
    steps=dict.fromkeys((*NUMBERS, "requested_procedure_id"), ("strip_prefix:n-",)),
    placeholders=frozenset({"TBD"}),
)
KINDS = [type(fact).__name__ for fact in every_fact("")]


@pytest.mark.parametrize("kind", range(len(KINDS)), ids=KINDS)
def test_every_identifier_of_every_fact_is_cleaned_and_gets_its_issuer(kind: int) -> None:
    before, expected = every_fact("n-7")[kind], every_fact("7")[kind]

    after = cleaned(before, RULES)

    assert after == cleaned(expected, RULES)
    assert b"n-7" not in encode(after)
    assert encode(after).count(b'"1.2.3"') == encode(before).count(b'"typeCode"')  # of every identifier


@pytest.mark.parametrize("kind", range(len(KINDS)), ids=KINDS)
def test_a_placeholder_of_the_channel_is_used_nowhere_in_any_case(kind: int) -> None:
    after = cleaned(every_fact("Tbd", "tbd")[kind], RULES)

    assert b"tbd" not in encode(after).lower()


@pytest.mark.parametrize("kind", range(len(KINDS)), ids=KINDS)
def test_a_fact_that_no_rule_is_about_stays_as_it_is(kind: int) -> None:
    fact = every_fact("A1")[kind]

    assert cleaned(fact, ValueRules(steps={"accession_number": ("upper",)}, placeholders=frozenset({"TBD"}))) is fact


@pytest.mark.parametrize("rules", [RULES, steps("strip_prefix:Tbd")], ids=["placeholder", "nothing left"])
def test_an_identifier_without_a_value_is_absent_which_deletes_nothing(rules: ValueRules) -> None:
    before = update("F1", accession_numbers=(Identifier("Tbd", "OBR-18"),))
    deleting = update("F1", accession_numbers=(), placer_order_number=None)

    assert cleaned(before, rules).accession_numbers is UNSET
    assert cleaned(deleting, rules).accession_numbers == ()
    assert cleaned(deleting, rules).placer_order_number is None


def test_what_has_no_value_left_is_no_request_and_no_other_order() -> None:
    said = header(accession="A1", requests=(request("TBD", rp="tbd"), request("TBD", rp="RP1"), request("A2")))
    order = update("F1", replaces=OrderNumbers(number("TBD", "ORC-8.1")), parent=OrderNumbers(number("P1", "ORC-8.1")))

    after = cleaned(instance(statement=said), RULES).statement

    assert [(one.accession_number, one.requested_procedure_id) for one in after.requests] == [
        (None, Stated("RP1", "00400275[1].00401001")),
        (Identifier("A2", "00400275[1].00080050", HOSP), None),
    ]
    assert cleaned(order, RULES).replaces is UNSET
    assert cleaned(order, RULES).parent == OrderNumbers(Identifier("P1", "ORC-8.1", HOSP))


def test_values_that_become_one_no_longer_contradict_each_other() -> None:
    one_number = update("F1", accession="A1^RIS 0A1^RIS 00A1")
    two_numbers = update("F1", accession="A1^RIS 0A1^NORTH")

    assert cleaned(one_number, steps("strip_leading_zeros")).accession_numbers == (number("A1^RIS", "OBR-18"),)
    assert len(cleaned(two_numbers, steps("strip_leading_zeros")).accession_numbers) == 2


def test_what_differs_for_a_sender_prevails_and_the_rest_is_inherited() -> None:
    rules = Normalisation(
        ValueRules({"patient_id": HOSP}, {"accession_number": ("upper",)}, frozenset({"TBD"})),
        (
            Sender({"sending_application": "RADIMS"}, ValueRules({"patient_id": Issuer("RADIMS")})),
            Sender(
                {"sending_application": "RADIMS", "sending_facility": "NORTH"},
                ValueRules({"patient_id": Issuer("NORTH")}, {"accession_number": ()}, frozenset({"LATER"})),
            ),
        ),
    )

    def read(application: str, facility: str) -> OrderUpdate:
        source = MessageSource(application, facility, "ORM^O01", "1", "orders")
        said = update("F1", accession="a1", placer="later", patient=Patient(identifiers("7")))
        return normalised(replace(said, source=source), rules, {})

    other, radims, north = read("RIS", "NORTH"), read("RADIMS", "MAIN"), read("RADIMS", "NORTH")

    assert [one.patient_identifiers[0].issuer for one in (other, radims, north)] == [
        HOSP,
        Issuer("RADIMS"),
        Issuer("NORTH"),
    ]
    assert [one.accession_numbers[0].value for one in (other, radims, north)] == ["A1", "A1", "a1"]
    assert [one.placer_order_number is UNSET for one in (other, radims, north)] == [False, False, True]


@pytest.mark.parametrize(
    ("headers", "station", "value"),
    [
        ({"calling-aet": "US_ER_2 "}, None, "7"),
        ({"calling-aet": "US_ER_2"}, "CT01", "7"),
        ({}, "CT01", "07"),
        ({}, "CT02", "n-07"),
        ({}, None, "n-07"),
    ],
)
def test_objects_are_told_apart_by_calling_ae_title_and_station(
    headers: dict[str, str], station: str | None, value: str
) -> None:
    rules = Normalisation(
        senders=(
            Sender({"station_name": "CT01"}, steps("strip_prefix:n-")),
            Sender({"calling_ae_title": "US_ER_2"}, steps("strip_prefix:n-", "strip_leading_zeros")),
        )
    )
    said = instance(statement=header(accession="n-07"), station_name=station)

    assert normalised(said, rules, headers).statement.accession_number == Identifier(value, "00080050")


def test_a_patient_message_whose_identifiers_are_no_values_names_nobody() -> None:
    merge = IdentityChange("", "A40", SOURCE, "merge", identifiers("7"), identifiers("TBD"), (PersonName("Doe^J"),))
    patient = PatientUpdate("", "A08", SOURCE, patient_identifiers=identifiers("TBD"))

    assert names_nobody(cleaned(merge, RULES))
    assert names_nobody(cleaned(patient, RULES))
    assert not names_nobody(cleaned(replace(merge, prior_identifiers=identifiers("TBD 8")), RULES))
    assert not names_nobody(cleaned(replace(patient, patient_identifiers=identifiers("TBD 8")), RULES))
    assert not names_nobody(cleaned(update("F1", patient=Patient(identifiers("TBD"))), RULES))
