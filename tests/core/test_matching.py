"""Which orders a study belongs to (DESIGN 4.4): labelled situations, and what must hold in any."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bridge.core.decision import Decision, Verdict
from bridge.core.evidence import study_of
from bridge.core.matching import decide
from bridge.core.model import Identifier, Patient, PersonName, Request, ScheduledStep, Statement
from bridge.core.orders import Order
from bridge.core.patients import Comparison, compare, identity
from bridge.core.rules import order_keys, order_lookups, study_keys, study_lookups
from tests.core.builders import JANE, JOHN, MADE_BY_MODALITY, header, order, person, request

MATCHED, PENDING, AMBIGUOUS, CONFLICT = Verdict
NOBODY = Patient()


def jane_s(filler: str = "F1", **stated: Any) -> Order:
    """An order for Jane, like the objects of `header`."""
    return order(filler, patient=JANE, **stated)


def john_s(filler: str = "F9", **stated: Any) -> Order:
    return order(filler, patient=JOHN, **stated)


@dataclass
class Situation:
    """What is known, and what a careful person would say: the verdict, and the codes that tell why."""

    objects: Sequence[Statement]
    orders: Sequence[Order]
    verdict: Verdict
    linked: str = ""  # filler order numbers
    reason: str | None = None
    against: str = ""  # codes of contradictions, of all candidates
    warned: str = ""  # codes of warnings


# One accession number with three requested procedures, each with its own Study Instance UID: HL7's own example.
THREE = [jane_s(f"F{i}", accession="A1", rp=f"R{i}", uid=f"1.{i}", steps=("S1", f"S{i}x")) for i in (1, 2, 3)]
GROUP = [jane_s(f"F{i}", accession=f"A{i}", rp="R1", uid=f"1.{i}") for i in (1, 2, 3)]
BABY = person("", "Doe^Baby", "2026-01-01")

SITUATIONS = {
    # Step 0: the study
    "patient identity removed is never linked, whatever is shared": Situation(
        [header(uid="1.1", accession="A1", identity_removed=True)],
        [jane_s(uid="1.1", accession="A1")],
        PENDING,
        reason="patient-identity-removed",
    ),
    "one object with patient identity removed keeps the whole study from being linked": Situation(
        [header(uid="1.1"), header(uid="1.1", identity_removed=True)],
        [jane_s(uid="1.1")],
        PENDING,
        reason="patient-identity-removed",
    ),
    "objects of different patients": Situation(
        [header(uid="1.1"), header(uid="1.1", patient=JOHN)],
        [jane_s(uid="1.1")],
        CONFLICT,
        reason="objects-of-different-patients",
        against="objects-of-different-patients patient-differs",
        warned="sex-differs",
    ),
    "objects of different patients without any order": Situation(
        [header(), header(patient=JOHN)],
        [],
        CONFLICT,
        reason="objects-of-different-patients",
        against="objects-of-different-patients",
    ),
    "an object that leaves the patient out belongs to the others": Situation(
        [header(uid="1.1"), header(uid="1.1", patient=NOBODY, modality="SR")], [jane_s(uid="1.1")], MATCHED, "F1"
    ),
    # Step 1: candidates
    "no order": Situation([header(accession="A1")], [], PENDING, reason="no-order"),
    "the order's study and accession number": Situation(
        [header(uid="1.1", accession="A1")], [jane_s(uid="1.1", accession="A1")], MATCHED, "F1"
    ),
    "the accession number alone, of the same patient": Situation(
        [header(accession="A1")], [jane_s(accession="A1")], MATCHED, "F1"
    ),
    "the study alone, of the same patient": Situation([header(uid="1.1")], [jane_s(uid="1.1")], MATCHED, "F1"),
    "the study inside the request attributes": Situation(
        [header(requests=(request(uid="1.1"),))],
        [jane_s(uid="1.1")],
        MATCHED,
        "F1",
    ),
    "the accession number inside the request attributes": Situation(
        [header(requests=(request("A1"),))], [jane_s(accession="A1")], MATCHED, "F1"
    ),
    "nothing but the patient is shared": Situation(
        [header(accession="A1")], [jane_s(accession="A2", uid="1.2")], PENDING, reason="no-order"
    ),
    "rp id and sps id are shared and nothing else": Situation(
        [header(requests=(request(rp="R1", step="S1"),))],
        [jane_s(rp="R1", steps=("S1",))],
        PENDING,
        reason="no-order",
    ),
    "a placeholder is no accession number": Situation(
        [header(accession="NONE")], [jane_s(accession="none")], PENDING, reason="no-order"
    ),
    "an accession number that is the study's patient id is none": Situation(
        [header(accession="100")], [order(accession="100")], PENDING, reason="no-order"
    ),
    "an accession number that is the order's patient id is none": Situation(
        [header(accession="777", patient=NOBODY)],
        [order(accession="777", patient=person("777^HOSP"))],
        PENDING,
        reason="no-order",
    ),
    "an accession number that is the patient's account number is none": Situation(
        [header(accession="V1", patient=JANE)],
        [order(accession="V1", patient=person("100^HOSP V1^HOSP^AN", "Doe^Jane", "1970-01-31"))],
        PENDING,
        reason="no-order",
    ),
    "accession numbers of different issuers are not the same": Situation(
        [header(accession="A1^RIS")], [jane_s(accession="A1^LAB")], PENDING, reason="no-order"
    ),
    "an accession number without issuer": Situation(
        [header(accession="A1")], [jane_s(accession="A1^RIS&1.2&ISO")], MATCHED, "F1"
    ),
    "the issuer decides between two orders of one accession number": Situation(
        [header(accession="A1^RIS")],
        [jane_s("F1", accession="A1^RIS"), jane_s("F2", accession="A1^LAB")],
        MATCHED,
        "F1",
    ),
    "the issuer of one object counts for an object that leaves it out": Situation(
        [header(accession="A1^RIS"), header(accession="A1", modality="SR")],
        [jane_s("F2", accession="A1^LAB")],
        PENDING,
        reason="no-order",
    ),
    # Dummy UIDs
    "a study uid that orders of strangers carry is a dummy, the accession number links": Situation(
        [header(uid="1.1", accession="A1")],
        [jane_s(uid="1.1", accession="A1"), john_s(uid="1.1", accession="A9")],
        MATCHED,
        "F1",
        warned="study-instance-uid-shared",
    ),
    "a study uid that orders of strangers carry links nothing": Situation(
        [header(uid="1.1")],
        [jane_s(uid="1.1"), john_s(uid="1.1")],
        PENDING,
        reason="no-order",
        warned="study-instance-uid-shared",
    ),
    # Step 2: the keys disagree
    "study and accession number name different orders": Situation(
        [header(uid="1.1", accession="A2")],
        [jane_s("F1", uid="1.1", accession="A1"), jane_s("F2", uid="1.2", accession="A2")],
        CONFLICT,
        reason="keys-disagree",
        against="keys-disagree",
        warned="accession-number-differs study-instance-uid-differs",
    ),
    "study and accession number name different orders, of which one is cancelled": Situation(
        [header(uid="1.1", accession="A2")],
        [jane_s("F1", uid="1.1", accession="A1", control="CA"), jane_s("F2", accession="A2")],
        CONFLICT,
        reason="keys-disagree",
        against="keys-disagree order-cancelled",
        warned="accession-number-differs",
    ),
    # Step 3: contradictions
    "the order is another patient's": Situation(
        [header(uid="1.1", accession="A1")],
        [john_s(uid="1.1", accession="A1")],
        CONFLICT,
        reason="patient-differs",
        against="patient-differs",
        warned="sex-differs",
    ),
    "the order is a twin's": Situation(
        [header(accession="A1", patient=person("", "Doe^Anna", "2020-02-02"))],
        [order(accession="A1", patient=person("", "Doe^Emma", "2020-02-02"))],
        CONFLICT,
        reason="patient-differs",
        against="patient-differs",
    ),
    "the patient id is right, name and birth date are another's": Situation(
        [header(uid="1.1", patient=person("100^HOSP", "Smith^John", "1955-12-24"))],
        [jane_s(uid="1.1")],
        CONFLICT,
        reason="patient-differs",
        against="patient-differs",
    ),
    "one of two orders with the accession number is another patient's": Situation(
        [header(accession="A1")],
        [jane_s(accession="A1"), john_s(accession="A1")],
        MATCHED,
        "F1",
        against="patient-differs",
    ),
    "the order is cancelled": Situation(
        [header(accession="A1")],
        [jane_s(accession="A1", control="CA")],
        CONFLICT,
        reason="order-cancelled",
        against="order-cancelled",
    ),
    "the order is cancelled and another one has its accession number": Situation(
        [header(accession="A1")],
        [jane_s("F1", accession="A1", control="RU"), jane_s("F2", accession="A1", control="RO")],
        MATCHED,
        "F2",
        against="order-cancelled",
    ),
    "the order is discontinued: something may have been made": Situation(
        [header(accession="A1")], [jane_s(accession="A1", control="DC")], MATCHED, "F1", warned="order-discontinued"
    ),
    "the order is completed": Situation(
        [header(accession="A1")], [jane_s(accession="A1", control="SC", status="CM")], MATCHED, "F1"
    ),
    "the order is on hold": Situation([header(accession="A1")], [jane_s(accession="A1", control="HD")], MATCHED, "F1"),
    "the order has two accession numbers": Situation(
        [header(accession="A2")],
        [jane_s(accession="A1 A2")],
        CONFLICT,
        reason="order-contradicts-itself",
        against="order-contradicts-itself",
    ),
    "the order has two studies": Situation(
        [header(uid="1.2")],
        [jane_s(uid="1.1 1.2")],
        CONFLICT,
        reason="order-contradicts-itself",
        against="order-contradicts-itself",
    ),
    "of several contradictions the patient is the gravest": Situation(
        [header(accession="A1")],
        [jane_s(accession="A1", control="CA"), john_s(accession="A1")],
        CONFLICT,
        reason="patient-differs",
        against="order-cancelled patient-differs",
        warned="sex-differs",
    ),
    # Step 4: which of several
    "one accession number with three procedures: the study says which": Situation(
        [header(uid="1.2", accession="A1")], THREE, MATCHED, "F2"
    ),
    "one accession number with three procedures: the rp id says which": Situation(
        [header(requests=(request("A1", rp="R2"),))], THREE, MATCHED, "F2", warned="study-instance-uid-differs"
    ),
    "one accession number with three procedures: two rp ids say which": Situation(
        [header(requests=(request("A1", rp="R1"), request("A1", rp="R3")))],
        THREE,
        MATCHED,
        "F1 F3",
        warned="study-instance-uid-differs",
    ),
    "one accession number with three procedures: the sps id says which": Situation(
        [header(requests=(request("A1", step="S3x"),))], THREE, MATCHED, "F3", warned="study-instance-uid-differs"
    ),
    "an sps id of another procedure says nothing": Situation(
        [header(requests=(request("A1", rp="R2", step="S3x"),))],
        THREE,
        MATCHED,
        "F2",
        warned="study-instance-uid-differs",
    ),
    "one accession number with three procedures: nothing says which, so all": Situation(
        [header(accession="A1")],
        THREE,
        MATCHED,
        "F1 F2 F3",
        warned="procedure-unresolved study-instance-uid-differs",
    ),
    "an rp id that no order has narrows nothing": Situation(
        [header(requests=(request("A1", rp="R7", step="S3x"),))],
        THREE,
        MATCHED,
        "F1 F2 F3",
        warned="procedure-unresolved study-instance-uid-differs",
    ),
    "an object without request attributes does not undo what another one says": Situation(
        [header(requests=(request("A1", rp="R2"),)), header(accession="A1", modality="SR")],
        THREE,
        MATCHED,
        "F2",
        warned="study-instance-uid-differs",
    ),
    "one study for several procedures of one accession number has the uid of the first": Situation(
        [header(uid="1.1", requests=(request("A1", rp="R1"), request("A1", rp="R2")))],
        THREE,
        MATCHED,
        "F1 F2",
        warned="study-instance-uid-differs",
    ),
    "one study for several procedures is only that of its uid while the patient is unknown": Situation(
        [header(uid="1.1", requests=(request("A1", rp="R1"), request("A1", rp="R2")), patient=NOBODY)],
        THREE,
        MATCHED,
        "F1",
        warned="request-without-order",
    ),
    "the study uid is stronger than an rp id that disagrees": Situation(
        [header(uid="1.1", requests=(request("A1", rp="R2"),))],
        THREE,
        MATCHED,
        "F1",
        warned="request-without-order",
    ),
    "several procedures ordered as one study": Situation(
        [header(uid="1.1", accession="A1")],
        [jane_s("F1", accession="A1", rp="R1", uid="1.1"), jane_s("F2", accession="A1", rp="R2", uid="1.1")],
        MATCHED,
        "F1 F2",
    ),
    "group case: one study for three accession numbers": Situation(
        [header(uid="1.1", requests=tuple(request(f"A{i}", rp="R1") for i in (1, 2, 3)))],
        GROUP,
        MATCHED,
        "F1 F2 F3",
        warned="study-instance-uid-differs",
    ),
    "group case: one of the orders is not known": Situation(
        [header(uid="1.1", requests=(request("A1"), request("A7")))],
        GROUP[:1],
        MATCHED,
        "F1",
        warned="request-without-order",
    ),
    "group case: one of the orders is cancelled": Situation(
        [header(uid="1.1", requests=(request("A1"), request("A8")))],
        [GROUP[0], jane_s("F8", accession="A8", control="CA")],
        MATCHED,
        "F1",
        against="order-cancelled",
        warned="request-without-order",
    ),
    "the accession number's order is dropped, another has the study": Situation(
        [header(uid="1.1", accession="A1")],
        [jane_s("F1", uid="1.1", accession="A1", control="CA"), jane_s("F2", uid="1.1", accession="A2")],
        MATCHED,
        "F2",
        against="order-cancelled",
        warned="accession-number-differs",
    ),
    # Step 5: the patient
    "the patient is unknown and the study is shared": Situation(
        [header(uid="1.1", patient=NOBODY)], [jane_s(uid="1.1")], MATCHED, "F1"
    ),
    "the patient is unknown and only the accession number is shared": Situation(
        [header(accession="A1", patient=NOBODY)], [jane_s(accession="A1")], AMBIGUOUS, reason="patient-unverified"
    ),
    "the order's patient is unknown and only the accession number is shared": Situation(
        [header(accession="A1")], [order(accession="A1")], AMBIGUOUS, reason="patient-unverified"
    ),
    "patient ids of different issuers, but name and birth date agree": Situation(
        [header(accession="A1", patient=person("5^OTHER", "DOE^JANE", "1970-01-31"))],
        [jane_s(accession="A1")],
        MATCHED,
        "F1",
    ),
    "patient ids of different issuers and nothing else": Situation(
        [header(accession="A1", patient=person("5^OTHER"))],
        [jane_s(accession="A1")],
        AMBIGUOUS,
        reason="patient-unverified",
    ),
    "newborns without a number or a given name are not told apart by an accession number": Situation(
        [header(accession="A1", patient=BABY)],
        [order(accession="A1", patient=BABY)],
        AMBIGUOUS,
        reason="patient-unverified",
    ),
    "orders of two patients and a study that does not say whose it is": Situation(
        [header(accession="A1", patient=NOBODY)],
        [jane_s(accession="A1"), john_s(accession="A1")],
        AMBIGUOUS,
        reason="several-orders",
        warned="procedure-unresolved",
    ),
    "several orders of the same patient": Situation(
        [header(accession="A1")],
        [jane_s("F1", accession="A1"), jane_s("F2", accession="A1")],
        MATCHED,
        "F1 F2",
        warned="procedure-unresolved",
    ),
    "orders that do not know each other's patient, but are both the study's": Situation(
        [header(accession="A1", patient=person("1^A 2^B"))],
        [order("F1", accession="A1", patient=person("1^A")), order("F2", accession="A1", patient=person("2^B"))],
        MATCHED,
        "F1 F2",
        warned="procedure-unresolved",
    ),
    "two orders without any patient share the study": Situation(
        [header(uid="1.1")], [order("F1", uid="1.1"), order("F2", uid="1.1")], AMBIGUOUS, reason="several-orders"
    ),
    # Warnings
    "the name alone differs": Situation(
        [header(accession="A1", patient=person("100^HOSP", "Smith^Jane", "1970-01-31"))],
        [jane_s(accession="A1")],
        MATCHED,
        "F1",
        warned="patient-name-differs",
    ),
    "the birth date alone differs": Situation(
        [header(accession="A1", patient=person("100^HOSP", "Doe^Jane", "1970-01-13"))],
        [jane_s(accession="A1")],
        MATCHED,
        "F1",
        warned="birth-date-differs",
    ),
    "the sex alone differs": Situation(
        [header(accession="A1", patient=person("100^HOSP", "Doe^Jane", "1970-01-31", "M"))],
        [jane_s(accession="A1")],
        MATCHED,
        "F1",
        warned="sex-differs",
    ),
    "the accession number differs but names no other order": Situation(
        [header(uid="1.1", accession="A7")],
        [jane_s(uid="1.1", accession="A1")],
        MATCHED,
        "F1",
        warned="accession-number-differs",
    ),
    "the modality made its own study uid": Situation(
        [header(uid=MADE_BY_MODALITY, accession="A1")],
        [jane_s(uid="1.1", accession="A1")],
        MATCHED,
        "F1",
        warned="study-instance-uid-differs",
    ),
    "the modality differs": Situation(
        [header(accession="A1", modality="MR")],
        [jane_s(accession="A1", modality="CT")],
        MATCHED,
        "F1",
        warned="modality-differs",
    ),
    "one of several modalities is the ordered one": Situation(
        [header(accession="A1", modality="CT"), header(accession="A1", modality="PT")],
        [jane_s(accession="A1", modality="PT")],
        MATCHED,
        "F1",
    ),
    "one of the steps has the modality": Situation(
        [header(accession="A1", modality="PT")],
        [jane_s(accession="A1", modality="CT", scheduled_steps=(ScheduledStep(modality="PT"),))],
        MATCHED,
        "F1",
    ),
    "objects made from others say nothing of the modality": Situation(
        [header(accession="A1", modality="SR"), header(accession="A1", modality="SEG")],
        [jane_s(accession="A1", modality="CT")],
        MATCHED,
        "F1",
    ),
}


def codes(findings: Sequence[Any]) -> str:
    return " ".join(sorted({finding.code for finding in findings}))


def linked(decision: Decision, orders: Sequence[Order]) -> str:
    numbers = {o.id: o.filler_order_number.value for o in orders if o.filler_order_number}
    return " ".join(sorted(numbers[order_id] for order_id in decision.orders))


@pytest.mark.parametrize("situation", SITUATIONS.values(), ids=[name.replace(" ", "_") for name in SITUATIONS])
def test_a_careful_person_would_say_the_same(situation: Situation) -> None:
    decision = decide(situation.objects, situation.orders)

    assert (decision.verdict, decision.reason) == (situation.verdict, situation.reason)
    assert linked(decision, situation.orders) == situation.linked
    assert codes(decision.contradictions) == situation.against
    assert codes(decision.warnings) == situation.warned
    again = decide([*reversed(situation.objects), *situation.objects], [*reversed(situation.orders), *situation.orders])
    assert again == decision


# What a decision shows


def test_a_link_shows_the_strongest_rule_and_every_key_with_both_places() -> None:
    decision = decide([header(uid="1.1", accession="A1")], [jane_s(uid="1.1", accession="A1")])

    assert decision.rule == "study-instance-uid"
    shown = {
        piece.key: (piece.outcome, piece.ordered.path, piece.ordered.value, piece.received.tag, piece.received.value)
        for piece in decision.evidence
    }
    assert shown == {
        "study-instance-uid": ("agrees", "ZDS-1.1", "1.1", "0020000D", "1.1"),
        "accession-number": ("agrees", "OBR-18", "A1", "00080050", "A1"),
        "patient-id": ("agrees", "PID-3[1].1", "100", "00100020", "100"),
        "patient-name": ("agrees", "PID-5", "Doe^Jane", "00100010", "Doe^Jane"),
        "birth-date": ("agrees", "PID-7", "1970-01-31", "00100030", "1970-01-31"),
        "sex": ("agrees", "PID-8", "F", "00100040", "F"),
    }


def test_a_link_by_accession_number_shows_that_the_study_differs() -> None:
    decision = decide([header(accession="A1")], [jane_s(uid="1.1", accession="A1")])

    assert decision.rule == "accession-number"
    assert [piece.ordered.value for piece in decision.evidence if piece.outcome == "differs"] == ["1.1"]


def test_a_request_item_s_key_is_shown_with_its_path() -> None:
    decision = decide([header(requests=(request("A1"),))], [jane_s(accession="A1")])

    assert decision.evidence[0].received.tag == "00400275[1].00080050"


def test_only_what_is_linked_is_warned_about_and_every_candidate_is_listed() -> None:
    decision = decide([header(accession="A1")], [jane_s(accession="A1"), john_s(accession="A1", control="CA")])

    assert not decision.warnings
    assert {(c.keys, c.contradictions, c.warnings) for c in decision.candidates} == {
        (("accession-number",), (), ()),
        (("accession-number",), ("patient-differs", "order-cancelled"), ("sex-differs",)),
    }


@pytest.mark.parametrize("written", ["0100", "1004", "100-HOSP", "HOSP-100", "100HOSP"])
def test_a_patient_id_that_differs_only_in_writing_is_another_with_a_hint(written: str) -> None:
    same_but_for_writing = Patient((Identifier(written, "00100020"),), JANE.names, JANE.birth_date)
    decision = decide([header(accession="A1", patient=same_but_for_writing)], [jane_s(accession="A1")])

    (finding,) = decision.contradictions
    assert (decision.verdict, finding.code, finding.hint) == (CONFLICT, "patient-differs", "format-only")
    assert finding.received is not None
    assert finding.received.value == written


@pytest.mark.parametrize("written", ["200", "99100", "10042"])
def test_a_patient_id_that_is_another_has_no_hint(written: str) -> None:
    another = Patient((Identifier(written, "00100020"),), JANE.names, JANE.birth_date)

    (finding,) = decide([header(accession="A1", patient=another)], [jane_s(accession="A1")]).contradictions
    assert (finding.code, finding.hint) == ("patient-differs", None)


def test_a_contradiction_shows_the_two_values_that_differ() -> None:
    stranger = person("", "Doe^Jane", "1955-12-24")
    (finding,) = decide([header(uid="1.1", patient=stranger)], [jane_s(uid="1.1")]).contradictions

    assert finding.ordered is not None
    assert finding.received is not None
    assert (finding.ordered.path, finding.ordered.value) == ("PID-7", "1970-01-31")
    assert (finding.received.tag, finding.received.value) == ("00100030", "1955-12-24")


def test_of_several_names_of_an_order_the_one_that_agrees_is_shown() -> None:
    renamed = jane_s(uid="1.1")
    renamed = replace(renamed, identity=replace(renamed.identity, names=(PersonName("Roe^Jane"), PersonName("DOE^J"))))
    study = header(uid="1.1", patient=person("100^HOSP", "Doe^J", "1970-01-31"))

    decision = decide([study], [renamed])
    assert [piece.ordered.value for piece in decision.evidence if piece.key == "patient-name"] == ["DOE^J"]
    assert not decision.warnings


# What the store finds is enough


def test_whatever_is_shared_is_found_by_the_keys_of_both_sides() -> None:
    for situation in SITUATIONS.values():
        pairs = study_lookups(situation.objects)
        for candidate in decide(situation.objects, situation.orders).candidates:
            (found,) = (one for one in situation.orders if one.id == candidate.order)
            assert pairs & order_lookups(found)


def test_a_rule_gives_keys_in_the_order_of_strength_without_placeholders() -> None:
    study = header(uid="1.1", accession="0", requests=(request("A1", uid="1.2"),))

    assert [(key.rule, key.number.value) for key in study_keys([study])] == [
        ("study-instance-uid", "1.1"),
        ("study-instance-uid", "1.2"),
        ("accession-number", "A1"),
    ]
    assert [(key.rule, key.number.value) for key in order_keys(jane_s(uid="1.1", accession="A1 100"))] == [
        ("study-instance-uid", "1.1"),
        ("accession-number", "A1"),
    ]


# Whatever is known

_accessions = st.sampled_from(["", "A1", "A2", "A1^RIS", "A1^LAB", "100"])
_uids = st.sampled_from(["", "1.1", "1.2"])
_patients = st.sampled_from(
    [NOBODY, JANE, JOHN, person("100"), person("", "Doe^Jane", "1970-01-31"), person("100^OTHER"), BABY]
)
_requests = st.lists(
    st.builds(
        request,
        _accessions,
        rp=st.sampled_from(["", "R1", "R2"]),
        step=st.sampled_from(["", "S1", "S2"]),
        uid=_uids,
    ).filter(lambda one: one != Request()),
    max_size=2,
).map(tuple)
_orders = st.builds(
    order,
    st.sampled_from(["F1", "F2", "F3", "F4", "F5"]),
    accession=st.sampled_from(["", "A1", "A2", "A1^RIS", "A1^LAB", "A1 A2", "100"]),
    uid=st.sampled_from(["", "1.1", "1.2", "1.1 1.2"]),
    rp=st.sampled_from(["", "R1", "R2"]),
    steps=st.sampled_from([(), ("S1",), ("S2",)]),
    patient=_patients,
    control=st.sampled_from(["NW", "NW", "CA", "DC"]),
    modality=st.sampled_from(["", "CT", "MR"]),
)
_known_orders = st.lists(_orders, max_size=4, unique_by=lambda one: one.id)


@st.composite
def _studies(draw: st.DrawFn) -> list[Statement]:
    uid = draw(st.sampled_from(["1.1", "1.2", MADE_BY_MODALITY]))
    patients = st.just(draw(_patients)) | _patients  # mostly one
    objects = st.builds(
        header,
        uid=st.just(uid),
        accession=_accessions,
        requests=_requests,
        patient=patients,
        modality=st.sampled_from(["CT", "SR", None]),
    )
    return draw(st.lists(objects, min_size=1, max_size=3))


@given(_studies(), _known_orders, st.data())
def test_no_sequence_of_objects_or_orders_and_no_duplicate_changes_the_decision(
    objects: list[Statement], orders: list[Order], data: st.DataObject
) -> None:
    more_objects = data.draw(st.lists(st.sampled_from(objects), max_size=2))
    again = decide(data.draw(st.permutations(objects + more_objects)), data.draw(st.permutations(orders + orders)))

    assert again == decide(objects, orders)


@given(_studies(), _known_orders)
def test_no_order_is_linked_that_must_not_be(objects: list[Statement], orders: list[Order]) -> None:
    decision = decide(objects, orders)
    chosen = [one for one in orders if one.id in decision.orders]

    assert (decision.verdict is MATCHED) is bool(decision.orders)
    assert (decision.verdict is MATCHED) is (decision.reason is None) is (decision.rule is not None)
    for one in chosen:
        assert one.status != "cancelled"
        assert len({number.value for number in one.accession_numbers}) < 2
        assert len({uid.value for uid in one.study_instance_uids}) < 2
        outcomes = {compare(one.identity, identity(said.patient)) for said in objects}
        assert Comparison.DIFFERENT not in outcomes
        stated = {said.study_instance_uid for said in objects} | {
            item.study_instance_uid.value for said in objects for item in said.requests if item.study_instance_uid
        }
        by_uid = {uid.value for uid in one.study_instance_uids} & stated
        by_accession = {n.value for n in one.accession_numbers} & {
            key.number.value for key in study_keys(objects) if key.rule == "accession-number"
        }
        assert by_uid or (by_accession and Comparison.SAME in outcomes)
    for one in chosen:
        assert all(compare(one.identity, other.identity) is not Comparison.DIFFERENT for other in chosen)


@given(_studies(), _known_orders)
def test_every_order_that_shares_a_key_is_a_candidate_and_no_other(
    objects: list[Statement], orders: list[Order]
) -> None:
    decision = decide(objects, orders)
    for candidate in decision.candidates:
        assert candidate.keys
    dummies = {
        finding.received.value
        for finding in decision.warnings
        if finding.code == "study-instance-uid-shared" and finding.received
    }
    for one in orders:
        shared = {uid.value for uid in one.study_instance_uids} & {objects[0].study_instance_uid} - dummies
        assert not shared or one.id in {candidate.order for candidate in decision.candidates}


@given(_studies(), _known_orders, _orders)
def test_an_order_that_shares_nothing_changes_nothing(
    objects: list[Statement], orders: list[Order], stranger: Order
) -> None:
    stranger = replace(stranger, id="o-stranger", accession_numbers=(), study_instance_uids=())

    assert decide(objects, [*orders, stranger]) == decide(objects, orders)


@given(_studies(), _known_orders)
def test_an_identity_that_was_removed_is_never_linked(objects: list[Statement], orders: list[Order]) -> None:
    removed = [replace(objects[0], patient_identity_removed=True), *objects[1:]]

    assert decide(removed, orders).verdict is PENDING


def test_nothing_is_known_of_a_study_without_objects() -> None:
    assert decide([], [jane_s(uid="1.1")]) == Decision(PENDING, "no-order")
    assert study_of([]).keys == ()
