"""Which orders a study belongs to (DESIGN 4.4): labelled situations, and what a decision shows of them."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from bridge.core.decision import CONTRADICTIONS, HINTS, REASONS, SUGGESTIONS, WARNINGS, Decision, Evidence, Verdict
from bridge.core.evidence import Departure, study_of
from bridge.core.link_decisions import decision_lookups
from bridge.core.matching import decide
from bridge.core.model import Identifier, LinkDecision, Patient, PersonName, ScheduledStep, Statement
from bridge.core.orders import Order
from bridge.core.persons import NO_MERGES, Persons
from bridge.core.policy import Policy
from bridge.core.rules import (
    affecting,
    linking,
    order_keys,
    order_lookups,
    predecessor_lookups,
    study_keys,
    study_lookups,
    successor_lookups,
    suggesting,
    suggestions,
)
from tests.core.builders import (
    JANE,
    JOHN,
    MADE_BY_MODALITY,
    decided,
    header,
    merged,
    order,
    person,
    request,
    step,
    study,
    successor,
)

MATCHED, PENDING, AMBIGUOUS, CONFLICT = Verdict
NOBODY = Patient()


def jane_s(filler: str = "F1", **stated: Any) -> Order:
    """An order for Jane, like the objects of `header`."""
    return order(filler, patient=JANE, **stated)


def john_s(filler: str = "F9", **stated: Any) -> Order:
    return order(filler, patient=JOHN, **stated)


@dataclasses.dataclass(frozen=True)
class Situation:
    """What is known, and what a careful person would say: the verdict, and the codes that tell why."""

    objects: Sequence[Statement]
    orders: Sequence[Order]
    verdict: Verdict
    linked: str = ""  # filler order numbers, or placer order numbers where there is none
    reason: str | None = None
    against: str = ""  # codes of contradictions, of all candidates
    warned: str = ""  # codes of warnings
    suggested: str = ""  # filler order numbers, each with the codes of why
    persons: Persons = NO_MERGES
    decisions: Sequence[LinkDecision] = ()
    rejections: Sequence[str] = ()
    departures: Sequence[Departure] = ()


# One accession number with three requested procedures, each with its own Study Instance UID: HL7's own example.
THREE = [jane_s(f"F{i}", accession="A1", rp=f"R{i}", uid=f"1.{i}", steps=("S1", f"S{i}x")) for i in (1, 2, 3)]
GROUP = [jane_s(f"F{i}", accession=f"A{i}", rp="R1", uid=f"1.{i}") for i in (1, 2, 3)]
BABY = person("", "Doe^Baby", "2026-01-01")
STRICT = merged(policy=Policy(strict_issuers=True))
CT_TODAY = {"modality": "CT", "scheduled_steps": (step("2026-03-01T09:30:00+01:00", "CT"),)}
CANCELLED = jane_s("F1", placer="P1", accession="A1", control="RU")

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
    "objects that give a patient two numbers are of one patient once these are merged": Situation(
        [header(uid="1.1"), header(uid="1.1", patient=person("300^HOSP", "Doe^Jane", "1970-01-31"))],
        [jane_s(uid="1.1")],
        MATCHED,
        "F1",
        persons=merged("100^HOSP > 300^HOSP"),
    ),
    "every object was rejected": Situation(
        [], [jane_s(uid="1.1")], PENDING, reason="no-instances", rejections=("113001",)
    ),
    "every object was rejected, as the wrong worklist entry was selected": Situation(
        [],
        [jane_s(uid="1.1")],
        CONFLICT,
        reason="incorrect-worklist-entry",
        against="incorrect-worklist-entry",
        rejections=("113001", "113038"),
    ),
    "some objects were rejected: the others are decided as if these were not there": Situation(
        [header(uid="1.1")], [jane_s(uid="1.1")], MATCHED, "F1", rejections=("113038",)
    ),
    "every object was moved to another study": Situation(
        [],
        [],
        PENDING,
        reason="no-instances",
        warned="object-moved",
        departures=(Departure("1.1.1", "1.5"), Departure("1.1.2", "1.5")),
    ),
    "C8: an object was in another study before, and one was another patient's": Situation(
        [header(uid="1.1")],
        [jane_s(uid="1.1")],
        MATCHED,
        "F1",
        warned="object-moved object-patient-changed",
        departures=(Departure("1.1.1", "1.5"), Departure("1.1.2")),
    ),
    "C8: the request attributes are of two patients": Situation(
        [header(requests=(request("A1"), request("A9")))],
        [jane_s(accession="A1"), john_s(accession="A9")],
        MATCHED,
        "F1",
        against="patient-differs",
        warned="request-without-order",
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
    "C9: rp id and sps id are shared and nothing else": Situation(
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
    "C3: one accession number of two issuers, and the study does not say whose": Situation(
        [header(accession="A1")],
        [jane_s("F1", accession="A1^RIS"), jane_s("F2", accession="A1^LAB")],
        AMBIGUOUS,
        reason="several-orders",
        warned="procedure-unresolved",
    ),
    "C3: one accession number of two issuers, and the study lists both": Situation(
        [header(requests=(request("A1^RIS"), request("A1^LAB")))],
        [jane_s("F1", accession="A1^RIS"), jane_s("F2", accession="A1^LAB")],
        MATCHED,
        "F1 F2",
    ),
    "C3: one accession number of two patients at two sites": Situation(
        [header(accession="A1")],
        [jane_s("F1", accession="A1^RIS"), john_s("F9", accession="A1^LAB")],
        MATCHED,
        "F1",
        against="patient-differs",
    ),
    "C3: one accession number of two issuers, and the study uid of both orders": Situation(
        [header(uid="1.1", accession="A1")],
        [jane_s("F1", uid="1.1", accession="A1^RIS"), jane_s("F2", uid="1.1", accession="A1^LAB")],
        MATCHED,
        "F1 F2",
    ),
    "C3: one accession number of two issuers, and a step id that one of the orders has as well": Situation(
        [header(accession="A1", requests=(request(step="S1"),))],
        [jane_s("F1", accession="A1^RIS", steps=("S1",)), jane_s("F2", accession="A1^LAB")],
        AMBIGUOUS,
        reason="several-orders",
    ),
    "where issuers are strict, a number without one is not the same as one that has it": Situation(
        [header(accession="A1")], [jane_s(accession="A1^RIS")], PENDING, reason="no-order", persons=STRICT
    ),
    # Order numbers
    "the filler order number inside the request attributes": Situation(
        [header(requests=(request(filler="F1"),))], [jane_s("F1")], MATCHED, "F1"
    ),
    "the placer order number inside the request attributes": Situation(
        [header(requests=(request(placer="P1"),))], [jane_s("F1", placer="P1")], MATCHED, "F1"
    ),
    "a filler order number of another issuer": Situation(
        [header(requests=(request(filler="F1^LAB"),))], [jane_s("F1^RIS")], PENDING, reason="no-order"
    ),
    "a filler order number is no placer order number": Situation(
        [header(requests=(request(filler="P1"),))], [jane_s("F1", placer="P1")], PENDING, reason="no-order"
    ),
    "a filler order number that is the study's patient id is none": Situation(
        [header(requests=(request(filler="100"),))], [order("100")], PENDING, reason="no-order"
    ),
    "a filler order number that is the order's patient id is none": Situation(
        [header(requests=(request(filler="777"),), patient=NOBODY)],
        [order("777", patient=person("777^HOSP"))],
        PENDING,
        reason="no-order",
    ),
    "a placeholder is no placer order number": Situation(
        [header(requests=(request(placer="0"),))], [jane_s("F1", placer="0")], PENDING, reason="no-order"
    ),
    "one placer order with several filler orders: nothing says which, so all": Situation(
        [header(requests=(request(placer="P1"),))],
        [jane_s("F1", placer="P1", accession="A1"), jane_s("F2", placer="P1", accession="A2")],
        MATCHED,
        "F1 F2",
        warned="procedure-unresolved",
    ),
    "one placer order with several filler orders: the filler order number says which": Situation(
        [header(requests=(request(filler="F2", placer="P1"),))],
        [jane_s("F1", placer="P1"), jane_s("F2", placer="P1")],
        MATCHED,
        "F2",
    ),
    "one placer order with several filler orders: the accession number says which": Situation(
        [header(accession="A2", requests=(request(placer="P1"),))],
        [jane_s("F1", placer="P1", accession="A1"), jane_s("F2", placer="P1", accession="A2")],
        MATCHED,
        "F2",
    ),
    "one placer order with several filler orders: two filler order numbers name two": Situation(
        [header(requests=(request(filler="F1"), request(filler="F3")))],
        [jane_s(f"F{i}", placer="P1") for i in (1, 2, 3)],
        MATCHED,
        "F1 F3",
    ),
    "one accession number with several filler orders: the filler order number says which": Situation(
        [header(accession="A1", requests=(request("A1", filler="F2"),))],
        [jane_s("F1", accession="A1"), jane_s("F2", accession="A1")],
        MATCHED,
        "F2",
    ),
    "one accession number with several filler orders: two filler order numbers name two": Situation(
        [header(requests=(request("A1", filler="F1"), request("A1", filler="F3")))],
        [jane_s(f"F{i}", accession="A1") for i in (1, 2, 3)],
        MATCHED,
        "F1 F3",
    ),
    "one accession number with several filler orders: the placer order number says which": Situation(
        [header(accession="A1", requests=(request("A1", placer="P2"),))],
        [jane_s("F1", accession="A1", placer="P1"), jane_s("F2", accession="A1", placer="P2")],
        MATCHED,
        "F2",
    ),
    "a placer order number that another site uses too": Situation(
        [header(requests=(request(placer="P1"),))],
        [jane_s("F1", placer="P1"), john_s("F9", placer="P1")],
        MATCHED,
        "F1",
        against="patient-differs",
    ),
    "a placer order number that another site uses too, and the patient is unknown": Situation(
        [header(requests=(request(placer="P1"),), patient=NOBODY)],
        [jane_s("F1", placer="P1"), john_s("F9", placer="P1")],
        AMBIGUOUS,
        reason="several-orders",
        warned="procedure-unresolved",
    ),
    "a placer order number of two issuers, and the study does not say whose": Situation(
        [header(requests=(request(placer="P1"),))],
        [jane_s("F1", placer="P1^HIS"), jane_s("F2", placer="P1^CLINIC")],
        AMBIGUOUS,
        reason="several-orders",
        warned="procedure-unresolved",
    ),
    "an order number alone does not link to an unknown patient": Situation(
        [header(requests=(request(filler="F1"),), patient=NOBODY)],
        [jane_s("F1")],
        AMBIGUOUS,
        reason="patient-unverified",
    ),
    "an order number of another patient": Situation(
        [header(requests=(request(filler="F9"),))],
        [john_s("F9")],
        CONFLICT,
        reason="patient-differs",
        against="patient-differs",
        warned="sex-differs",
    ),
    "the filler order number is another than that of the accession number's order": Situation(
        [header(accession="A1", requests=(request("A1", filler="F7", placer="P7"),))],
        [jane_s("F1", accession="A1", placer="P1")],
        MATCHED,
        "F1",
        warned="filler-order-number-differs placer-order-number-differs",
    ),
    "a request that is named by its filler order number has no order": Situation(
        [header(requests=(request(filler="F1"), request(filler="F7")))],
        [jane_s("F1")],
        MATCHED,
        "F1",
        warned="request-without-order",
    ),
    "a filler order number that the linked order does not state is no request without order": Situation(
        [header(accession="A1", requests=(request(filler="F7"),))],
        [jane_s("", placer="P1", accession="A1")],
        MATCHED,
        "P1",
    ),
    "a filler order number that one of the linked orders may have is no request without order": Situation(
        [header(requests=(request("A1"), request("A2"), request(filler="F7")))],
        [jane_s("F1", accession="A1"), jane_s("", placer="P2", accession="A2")],
        MATCHED,
        "F1 P2",
        warned="filler-order-number-differs",
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
    "a study uid that orders of strangers carry is a dummy when they are cancelled too": Situation(
        [header(uid="1.1")],
        [jane_s(uid="1.1"), john_s(uid="1.1", control="CA")],
        PENDING,
        reason="no-order",
        warned="study-instance-uid-shared",
    ),
    "a study uid that two numbers of one patient carry is none": Situation(
        [header(uid="1.1")],
        [jane_s(uid="1.1"), order("F2", uid="1.1", patient=person("300^HOSP", "Doe^Jane", "1970-01-31"))],
        MATCHED,
        "F1 F2",
        persons=merged("300^HOSP > 100^HOSP"),
    ),
    "the study uid of a request item that strangers share does not disagree with the accession number": Situation(
        [header(requests=(request("A1", uid="1.1"),))],
        [jane_s("F1", accession="A1"), jane_s("F2", uid="1.1"), john_s("F9", uid="1.1")],
        MATCHED,
        "F1",
        warned="study-instance-uid-shared",
    ),
    # Step 2: the keys disagree
    "C2: study and accession number name different orders": Situation(
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
    "C2: the study uid in the request attributes is the previous patient's": Situation(
        [header(requests=(request("A1", uid="1.9"),))],
        [jane_s("F1", accession="A1"), john_s("F9", uid="1.9", accession="A9")],
        CONFLICT,
        reason="keys-disagree",
        against="keys-disagree patient-differs",
        warned="accession-number-differs sex-differs",
    ),
    # Step 3: contradictions
    "C1: the order is another patient's": Situation(
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
    "C1: the order of a number that was merged into the study's patient": Situation(
        [header(accession="A1", patient=person("300^HOSP", "Doe^Jane", "1970-01-31"))],
        [jane_s(accession="A1")],
        MATCHED,
        "F1",
        persons=merged("100^HOSP > 200^HOSP", "200^HOSP > 300^HOSP"),
    ),
    "C1: the study of a number that was merged into the order's patient": Situation(
        [header(accession="A1")],
        [order(accession="A1", patient=person("300^HOSP", "Doe^Jane", "1970-01-31"))],
        MATCHED,
        "F1",
        persons=merged("100^HOSP > 300^HOSP"),
    ),
    "C1: a merge of other numbers changes nothing": Situation(
        [header(accession="A1", patient=person("300^HOSP"))],
        [jane_s(accession="A1")],
        CONFLICT,
        reason="patient-differs",
        against="patient-differs",
        persons=merged("100^HOSP > 200^HOSP"),
    ),
    "C1: a merge does not join two people of different name and birth date": Situation(
        [header(accession="A1")],
        [john_s(accession="A1")],
        CONFLICT,
        reason="patient-differs",
        against="patient-differs",
        warned="sex-differs",
        persons=merged("200^HOSP > 100^HOSP"),
    ),
    "C1: another patient id of the object is the order's": Situation(
        [header(accession="A1", patient=person("5^OTHER 100^HOSP", "Doe^Jane", "1970-01-31"))],
        [jane_s(accession="A1")],
        MATCHED,
        "F1",
    ),
    "trauma: a temporary number that was merged into two people identifies nobody": Situation(
        [header(accession="A1", patient=person("T7^HOSP"))],
        [order(accession="A1", patient=person("T7^HOSP"))],
        AMBIGUOUS,
        reason="patient-unverified",
        persons=merged("T7^HOSP > 100^HOSP", "T7^HOSP > 200^HOSP"),
    ),
    "trauma: objects under the temporary number, the order under the real one": Situation(
        [header(accession="A1", patient=person("T7^HOSP", "Trauma^Seven"))],
        [order(accession="A1", patient=person("100^HOSP", "Doe^Jane", "1970-01-31"))],
        MATCHED,
        "F1",
        warned="patient-name-differs",
        persons=merged("T7^HOSP > 100^HOSP"),
    ),
    "twins under one number by mistake: nothing but the given name tells them apart": Situation(
        [header(accession="A1", patient=person("1^HOSP", "Doe^Anna", "2020-02-02"))],
        [order(accession="A1", patient=person("1^HOSP", "Doe^Emma", "2020-02-02"))],
        MATCHED,
        "F1",
        warned="patient-name-differs",
    ),
    "a newborn under its mother's number": Situation(
        [header(uid="1.1", patient=person("100^HOSP", "Roe^Baby", "2026-01-01"))],
        [jane_s(uid="1.1")],
        CONFLICT,
        reason="patient-differs",
        against="patient-differs",
    ),
    "newborn twins without numbers, told apart by the study uid alone": Situation(
        [header(uid="1.1", patient=BABY)],
        [order("F1", uid="1.1", patient=BABY), order("F2", uid="1.2", patient=BABY)],
        MATCHED,
        "F1",
    ),
    "newborn twins with numbers of their own": Situation(
        [header(accession="A1", patient=person("1^HOSP", "Doe^Baby A", "2026-01-01"))],
        [order(accession="A1", patient=person("2^HOSP", "Doe^Baby B", "2026-01-01"))],
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
    "C6: the order is cancelled": Situation(
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
    "C6: the order is discontinued: something may have been made": Situation(
        [header(accession="A1")], [jane_s(accession="A1", control="DC")], MATCHED, "F1", warned="order-discontinued"
    ),
    "the order is completed": Situation(
        [header(accession="A1")], [jane_s(accession="A1", control="SC", status="CM")], MATCHED, "F1"
    ),
    "the order is on hold": Situation([header(accession="A1")], [jane_s(accession="A1", control="HD")], MATCHED, "F1"),
    "C10: the order has two accession numbers": Situation(
        [header(accession="A2")],
        [jane_s(accession="A1 A2")],
        CONFLICT,
        reason="order-contradicts-itself",
        against="order-contradicts-itself",
    ),
    "C10: the order has two studies": Situation(
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
    "an rp id reaches no order of another issuer's accession number": Situation(
        [header(uid="1.1", requests=(request("A1", rp="R1"), request("A1", rp="R2")))],
        [
            jane_s("F1", accession="A1^NORTH", rp="R1", uid="1.1"),
            jane_s("F2", accession="A1^SOUTH", rp="R2", uid="1.2"),
        ],
        MATCHED,
        "F1",
        warned="request-without-order",
    ),
    "a request item that states the issuer reaches the order of its accession number": Situation(
        [header(uid="1.1", requests=(request("A1^NORTH", rp="R1"), request("A1^SOUTH", rp="R2")))],
        [
            jane_s("F1", accession="A1^NORTH", rp="R1", uid="1.1"),
            jane_s("F2", accession="A1^SOUTH", rp="R2", uid="1.2"),
        ],
        MATCHED,
        "F1 F2",
        warned="study-instance-uid-differs",
    ),
    "an rp id that no order has narrows nothing": Situation(
        [header(requests=(request("A1", rp="R7", step="S3x"),))],
        THREE,
        MATCHED,
        "F1 F2 F3",
        warned="procedure-unresolved study-instance-uid-differs",
    ),
    "an rp id of another accession number says nothing": Situation(
        [header(requests=(request("A2", rp="R2"), request(placer="P1")))],
        [jane_s("F1", placer="P1", accession="A1", rp="R1"), jane_s("F1", placer="P1", accession="A1", rp="R2")],
        MATCHED,
        "F1 F1",
        warned="accession-number-differs procedure-unresolved request-without-order",
    ),
    "an rp id that stands under the accession number of its object says nothing of another one": Situation(
        [header(accession="A1"), header(accession="A2", requests=(request(rp="R2"),))],
        [*THREE, jane_s("F4", accession="A2", rp="R2")],
        MATCHED,
        "F1 F2 F3 F4",
        warned="procedure-unresolved study-instance-uid-differs",
    ),
    "an rp id of an accession number of another issuer says nothing": Situation(
        [header(requests=(request("A1^RIS", rp="R1"), request("A1^LAB", rp="R2")))],
        [
            *(jane_s(f"F{i}", accession="A1^RIS", rp=f"R{i}") for i in (1, 2)),
            *(jane_s(f"F{i}", accession="A1^LAB", rp=f"R{i - 2}") for i in (3, 4)),
        ],
        MATCHED,
        "F1 F4",
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
    "of two orders that have the rp id, the one that has the study uid": Situation(
        [header(uid="1.1", requests=(request("A1", rp="R1"),))],
        [jane_s("F1", accession="A1", rp="R1", uid="1.1"), jane_s("F2", accession="A1", rp="R1", uid="1.2")],
        MATCHED,
        "F1",
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
    "orders of two patients who are both unknown to each other, each of another object's patient": Situation(
        [header(uid="1.1", patient=person("1^A")), header(uid="1.1", patient=person("2^B"))],
        [order("F1", uid="1.1", patient=person("1^A")), order("F2", uid="1.1", patient=person("2^B"))],
        AMBIGUOUS,
        reason="several-orders",
    ),
    "C5: the patient id agrees, and one side does not say whose it is": Situation(
        [header(accession="A1", patient=person("100"))], [jane_s(accession="A1")], MATCHED, "F1"
    ),
    "C5: where issuers are strict, a patient id without one proves nothing": Situation(
        [header(accession="A1", patient=person("100"))],
        [jane_s(accession="A1")],
        AMBIGUOUS,
        reason="patient-unverified",
        persons=STRICT,
    ),
    "C5: the same where the channel of one of the objects is strict": Situation(
        [
            header(accession="A1", patient=person("100")),
            header(accession="A1", patient=person("100"), modality="SR", strict=True),
        ],
        [jane_s(accession="A1")],
        AMBIGUOUS,
        reason="patient-unverified",
    ),
    "strict issuers take nothing away of what tells two patients apart": Situation(
        [header(accession="A1", patient=person("555", "Doe^Jane", "1970-01-31"), strict=True)],
        [jane_s(accession="A1")],
        CONFLICT,
        reason="patient-differs",
        against="patient-differs",
    ),
    "two orders without any patient share the study": Situation(
        [header(uid="1.1")], [order("F1", uid="1.1"), order("F2", uid="1.1")], AMBIGUOUS, reason="several-orders"
    ),
    # Warnings
    "C4: the name alone differs": Situation(
        [header(accession="A1", patient=person("100^HOSP", "Smith^Jane", "1970-01-31"))],
        [jane_s(accession="A1")],
        MATCHED,
        "F1",
        warned="patient-name-differs",
    ),
    "C4: the birth date alone differs": Situation(
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
    "C2: the accession number differs but names no other order": Situation(
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
    # What a person decided
    "a person links an order that shares nothing": Situation(
        [header()],
        [jane_s("F7")],
        MATCHED,
        "F7",
        warned="linked-by-person",
        decisions=[decided("link", jane_s("F7"))],
    ),
    "a person confirms what would have been a guess": Situation(
        [header(accession="A1", patient=NOBODY)],
        [jane_s(accession="A1"), john_s(accession="A1")],
        MATCHED,
        "F1",
        warned="linked-by-person",
        decisions=[decided("link", jane_s(accession="A1"))],
    ),
    "a person links another patient's order": Situation(
        [header(accession="A1")],
        [john_s(accession="A1")],
        MATCHED,
        "F9",
        warned="linked-by-person overridden-patient-differs sex-differs",
        decisions=[decided("link", john_s(accession="A1"))],
    ),
    "a person links a cancelled order that contradicts itself": Situation(
        [header(accession="A1")],
        [jane_s(accession="A1 A2", control="CA")],
        MATCHED,
        "F1",
        warned="linked-by-person overridden-order-cancelled overridden-order-contradicts-itself",
        decisions=[decided("link", jane_s())],
    ),
    "a person links one of the orders that the keys disagree about": Situation(
        [header(uid="1.1", accession="A2")],
        [jane_s("F1", uid="1.1"), jane_s("F2", accession="A2")],
        MATCHED,
        "F2",
        against="keys-disagree",
        warned="linked-by-person overridden-keys-disagree",
        decisions=[decided("link", jane_s("F2"))],
    ),
    "a person links an order though the objects name several patients": Situation(
        [header(uid="1.1"), header(uid="1.1", patient=JOHN)],
        [jane_s("F1", uid="1.1")],
        MATCHED,
        "F1",
        warned="linked-by-person overridden-objects-of-different-patients overridden-patient-differs sex-differs",
        decisions=[decided("link", jane_s("F1"))],
    ),
    "an object of a stranger comes after a person linked the order": Situation(
        [header(uid="1.1"), header(uid="1.1", patient=JOHN)],
        [jane_s("F1", uid="1.1")],
        CONFLICT,
        reason="objects-of-different-patients",
        against="objects-of-different-patients patient-differs",
        warned="sex-differs",
        decisions=[decided("link", jane_s("F1"), overrides=("patient-differs",))],
    ),
    "the order is moved to another patient after a person linked it": Situation(
        [header(accession="A1")],
        [john_s("F1", accession="A1")],
        CONFLICT,
        reason="patient-differs",
        against="patient-differs",
        warned="sex-differs",
        decisions=[decided("link", jane_s("F1"), overrides=())],
    ),
    "an order that shares nothing is cancelled after a person linked it": Situation(
        [header()],
        [jane_s("F1", control="CA")],
        CONFLICT,
        reason="order-cancelled",
        against="order-cancelled",
        decisions=[decided("link", jane_s("F1"), overrides=())],
    ),
    "an order is cancelled after a person linked it, and another one is linked by its keys": Situation(
        [header(accession="A2")],
        [jane_s("F1", control="CA"), jane_s("F2", accession="A2")],
        MATCHED,
        "F2",
        against="order-cancelled",
        decisions=[decided("link", jane_s("F1"), overrides=())],
    ),
    "the keys come to disagree after a person linked one of the orders": Situation(
        [header(uid="1.1", accession="A2")],
        [jane_s("F1", uid="1.1"), jane_s("F2", accession="A2")],
        MATCHED,
        "F2",
        against="keys-disagree",
        warned="linked-by-person overridden-keys-disagree",
        decisions=[decided("link", jane_s("F2"), overrides=())],
    ),
    "a person links one more order": Situation(
        [header(accession="A1")],
        [jane_s("F1", accession="A1"), jane_s("F7")],
        MATCHED,
        "F1 F7",
        warned="linked-by-person",
        decisions=[decided("link", jane_s("F7"))],
    ),
    "no person links a study whose patient's identity was removed": Situation(
        [header(accession="A1", identity_removed=True)],
        [jane_s(accession="A1")],
        PENDING,
        reason="patient-identity-removed",
        decisions=[decided("link", jane_s())],
    ),
    "no person links a study of which nothing is left": Situation(
        [], [jane_s()], PENDING, reason="no-instances", decisions=[decided("link", jane_s())]
    ),
    "a person takes the only order away": Situation(
        [header(accession="A1")],
        [jane_s(accession="A1")],
        CONFLICT,
        reason="unlinked-by-person",
        against="unlinked-by-person",
        decisions=[decided("unlink", jane_s(accession="A1"))],
    ),
    "a person takes one of two orders away": Situation(
        [header(accession="A1")],
        [jane_s("F1", accession="A1"), jane_s("F2", accession="A1")],
        MATCHED,
        "F2",
        against="unlinked-by-person",
        decisions=[decided("unlink", jane_s("F1"))],
    ),
    "an unlink that is undone": Situation(
        [header(accession="A1")],
        [jane_s(accession="A1")],
        MATCHED,
        "F1",
        decisions=[
            decided("undo", jane_s(), at="2026-02-03T08:00:00Z"),
            decided("unlink", jane_s(), at="2026-02-02T08:00:00Z"),
        ],
    ),
    "of a link and an unlink the newest wins": Situation(
        [header(accession="A1", patient=NOBODY)],
        [jane_s(accession="A1")],
        MATCHED,
        "F1",
        warned="linked-by-person",
        decisions=[
            decided("link", jane_s(), at="2026-02-03T08:00:00Z"),
            decided("unlink", jane_s(), at="2026-02-02T08:00:00Z"),
        ],
    ),
    "at the same moment an unlink wins": Situation(
        [header(accession="A1", patient=NOBODY)],
        [jane_s(accession="A1")],
        CONFLICT,
        reason="unlinked-by-person",
        against="unlinked-by-person",
        decisions=[decided("link", jane_s()), decided("unlink", jane_s()), decided("undo", jane_s())],
    ),
    # What is suggested
    "an order for the patient, the modality and the day": Situation(
        [header(date="2026-03-01")],
        [jane_s("F1", **CT_TODAY)],
        PENDING,
        reason="no-order",
        suggested="F1:patient-modality-day",
    ),
    "an order for the patient's former number, the modality and the day": Situation(
        [header(date="2026-03-01", patient=person("300^HOSP"))],
        [jane_s("F1", **CT_TODAY)],
        PENDING,
        reason="no-order",
        suggested="F1:patient-modality-day",
        persons=merged("100^HOSP > 300^HOSP"),
    ),
    "an order of the day for another modality, and one for another day": Situation(
        [header(date="2026-03-01")],
        [
            jane_s("F1", modality="MR", scheduled_steps=(step("2026-03-01", "MR"),)),
            jane_s("F2", modality="CT", scheduled_steps=(step("2026-03-02", "CT"),)),
            jane_s("F3", modality="CT"),
        ],
        PENDING,
        reason="no-order",
    ),
    "an order of the day for somebody who is not certainly the patient": Situation(
        [header(date="2026-03-01", patient=person("", "Doe^Jane"))],
        [jane_s("F1", **CT_TODAY), john_s("F9", **CT_TODAY)],
        PENDING,
        reason="no-order",
    ),
    "an order of the day beside one that is another patient's": Situation(
        [header(accession="A9", date="2026-03-01")],
        [john_s("F9", accession="A9"), jane_s("F1", **CT_TODAY)],
        CONFLICT,
        reason="patient-differs",
        against="patient-differs",
        warned="sex-differs",
        suggested="F1:patient-modality-day",
    ),
    "nothing is suggested to a study that is matched": Situation(
        [header(accession="A1", date="2026-03-01")],
        [jane_s("F1", accession="A1"), jane_s("F2", **CT_TODAY)],
        MATCHED,
        "F1",
    ),
    "the order that replaces a cancelled one": Situation(
        [header(accession="A1")],
        [CANCELLED, successor("F2", of=CANCELLED, patient=JANE, accession="A2")],
        CONFLICT,
        reason="order-cancelled",
        against="order-cancelled",
        warned="accession-number-differs",
        suggested="F2:replacement",
    ),
    "the order that replaces a cancelled one, for the patient, the modality and the day": Situation(
        [header(accession="A1", date="2026-03-01")],
        [CANCELLED, successor("F2", of=CANCELLED, patient=JANE, **CT_TODAY)],
        CONFLICT,
        reason="order-cancelled",
        against="order-cancelled",
        suggested="F2:patient-modality-day replacement",
    ),
    "an order that replaces one that was not cancelled, or another one": Situation(
        [header(accession="A1", patient=NOBODY)],
        [
            jane_s("F1", accession="A1"),
            successor("F2", of=jane_s("F1"), patient=JANE),
            successor("F3", of=jane_s("F8"), patient=JANE),
        ],
        AMBIGUOUS,
        reason="patient-unverified",
    ),
    "an order that replaces another filler order of the same placer order": Situation(
        [header(accession="A1")],
        [CANCELLED, successor("F2", of=jane_s("F8", placer="P1"), patient=JANE)],
        CONFLICT,
        reason="order-cancelled",
        against="order-cancelled",
    ),
    "an order that shares a key is not suggested as well": Situation(
        [header(accession="A1", date="2026-03-01")],
        [jane_s("F1", accession="A1", control="CA", **CT_TODAY)],
        CONFLICT,
        reason="order-cancelled",
        against="order-cancelled",
    ),
    "a suggested order that a person took away stays so": Situation(
        [header(date="2026-03-01")],
        [jane_s("F1", **CT_TODAY)],
        PENDING,
        reason="no-order",
        against="unlinked-by-person",
        suggested="F1:patient-modality-day",
        decisions=[decided("unlink", jane_s("F1"))],
    ),
}


def judged(situation: Situation) -> Decision:
    facts = study(
        *situation.objects,
        rejections=situation.rejections,
        departures=situation.departures,
        decisions=situation.decisions,
    )
    return decide(facts, situation.orders, situation.persons)


def codes(findings: Sequence[Any]) -> str:
    return " ".join(sorted({finding.code for finding in findings}))


def linked(decision: Decision, orders: Sequence[Order]) -> str:
    numbers = names(orders)
    return " ".join(sorted(numbers[order_id] for order_id in decision.orders))


def suggested(decision: Decision, orders: Sequence[Order]) -> str:
    numbers = names(orders)
    found = [(numbers[c.order], [key for key in c.keys if key in SUGGESTIONS]) for c in decision.candidates]
    return " ".join(sorted(f"{name}:{' '.join(keys)}" for name, keys in found if keys))


def names(orders: Sequence[Order]) -> dict[str, str]:
    numbers = ((one.id, one.filler_order_number or one.placer_order_number) for one in orders)
    return {order_id: number.value if number else "" for order_id, number in numbers}


@pytest.mark.parametrize("situation", SITUATIONS.values(), ids=[name.replace(" ", "_") for name in SITUATIONS])
def test_a_careful_person_would_say_the_same(situation: Situation) -> None:
    decision = judged(situation)

    assert (decision.verdict, decision.reason) == (situation.verdict, situation.reason)
    assert linked(decision, situation.orders) == situation.linked
    assert codes(decision.contradictions) == situation.against
    assert codes(decision.warnings) == situation.warned
    assert suggested(decision, situation.orders) == situation.suggested
    twice = {
        name: (*reversed(getattr(situation, name)), *getattr(situation, name))
        for name in ("objects", "orders", "decisions", "rejections", "departures")
    }
    assert judged(dataclasses.replace(situation, **twice)) == decision


# What a decision shows


def test_a_link_shows_the_strongest_rule_and_every_key_with_both_places() -> None:
    decision = decide(study(header(uid="1.1", accession="A1")), [jane_s(uid="1.1", accession="A1")])

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
    decision = decide(study(header(accession="A1")), [jane_s(uid="1.1", accession="A1")])

    assert decision.rule == "accession-number"
    assert [piece.ordered.value for piece in decision.evidence if piece.outcome == "differs"] == ["1.1"]


def test_a_request_item_s_key_is_shown_with_its_path() -> None:
    decision = decide(study(header(requests=(request("A1"),))), [jane_s(accession="A1")])

    assert decision.evidence[0].received.tag == "00400275[1].00080050"


def test_only_what_is_linked_is_warned_about_and_every_candidate_is_listed() -> None:
    decision = decide(study(header(accession="A1")), [jane_s(accession="A1"), john_s(accession="A1", control="CA")])

    assert not decision.warnings
    assert {(c.keys, c.contradictions, c.warnings) for c in decision.candidates} == {
        (("accession-number",), (), ()),
        (("accession-number",), ("patient-differs", "order-cancelled"), ("sex-differs",)),
    }


@pytest.mark.parametrize("written", ["0100", "1004", "100-HOSP", "HOSP-100", "100HOSP"])
def test_a_patient_id_that_differs_only_in_writing_is_another_with_a_hint(written: str) -> None:
    same_but_for_writing = Patient((Identifier(written, "00100020"),), JANE.names, JANE.birth_date)
    decision = decide(study(header(accession="A1", patient=same_but_for_writing)), [jane_s(accession="A1")])

    (finding,) = decision.contradictions
    assert (decision.verdict, finding.code, finding.hint) == (CONFLICT, "patient-differs", "format-only")
    assert finding.received is not None
    assert finding.received.value == written


@pytest.mark.parametrize("written", ["200", "99100", "10042"])
def test_a_patient_id_that_is_another_has_no_hint(written: str) -> None:
    another = Patient((Identifier(written, "00100020"),), JANE.names, JANE.birth_date)

    (finding,) = decide(study(header(accession="A1", patient=another)), [jane_s(accession="A1")]).contradictions
    assert (finding.code, finding.hint) == ("patient-differs", None)


def test_a_contradiction_shows_the_two_values_that_differ() -> None:
    stranger = person("", "Doe^Jane", "1955-12-24")
    (finding,) = decide(study(header(uid="1.1", patient=stranger)), [jane_s(uid="1.1")]).contradictions

    assert finding.ordered is not None
    assert finding.received is not None
    assert (finding.ordered.path, finding.ordered.value) == ("PID-7", "1970-01-31")
    assert (finding.received.tag, finding.received.value) == ("00100030", "1955-12-24")


def test_of_several_names_of_an_order_the_one_that_agrees_is_shown() -> None:
    renamed = jane_s(uid="1.1")
    renamed = replace(renamed, identity=replace(renamed.identity, names=(PersonName("Roe^Jane"), PersonName("DOE^J"))))
    said = header(uid="1.1", patient=person("100^HOSP", "Doe^J", "1970-01-31"))

    decision = decide(study(said), [renamed])
    assert [piece.ordered.value for piece in decision.evidence if piece.key == "patient-name"] == ["DOE^J"]
    assert not decision.warnings


def test_identifiers_that_are_one_person_s_by_a_merge_are_shown_as_such() -> None:
    now = header(accession="A1", patient=person("300^HOSP"))
    decision = decide(study(now), [jane_s(accession="A1")], merged("100^HOSP > 300^HOSP"))

    (piece,) = (piece for piece in decision.evidence if piece.key == "patient-id")
    assert (piece.outcome, piece.ordered.value, piece.received.value, piece.hint) == ("agrees", "100", "300", "merged")


def test_an_identifier_that_is_shared_as_it_stands_is_shown_rather_than_one_of_a_merge() -> None:
    two_numbers = header(accession="A1", patient=person("300^HOSP 100^HOSP"))
    decision = decide(study(two_numbers), [jane_s(accession="A1")], merged("100^HOSP > 300^HOSP"))

    (piece,) = (piece for piece in decision.evidence if piece.key == "patient-id")
    assert (piece.received.value, piece.hint) == ("100", None)


def test_identifiers_that_differ_have_no_hint_of_a_merge() -> None:
    decision = decide(study(header(accession="A1")), [john_s(accession="A1")])

    assert [(e.outcome, e.hint) for e in decision.evidence if e.key == "patient-id"] == [("differs", None)]


def test_objects_of_different_patients_show_what_both_state() -> None:
    decision = decide(study(header(), header(patient=JOHN)), [])

    shown = {finding.received.value for finding in decision.contradictions if finding.received}
    assert shown == {"100", "200"}


def test_objects_that_moved_are_one_warning_for_each_other_study() -> None:
    moved = [Departure("1.1.3", "1.6"), Departure("1.1.1", "1.5"), Departure("1.1.2", "1.5"), Departure("1.1.4")]
    decision = decide(study(header(), departures=moved), [])

    assert [(f.code, f.received and (f.received.tag, f.received.value)) for f in decision.warnings] == [
        ("object-moved", ("0020000D", "1.5")),
        ("object-moved", ("0020000D", "1.6")),
        ("object-patient-changed", ("00080018", "1.1.4")),
    ]


def test_a_person_s_link_is_shown_with_who_when_and_why() -> None:
    linked_order = jane_s("F7")
    said = decided("link", linked_order, at="2026-02-01T08:00:00Z", user="ann", reason="request form")
    decision = decide(study(header(), decisions=[said]), [linked_order])

    who = ("bridge link", "ann, 2026-02-01T08:00:00Z: request form"), ("0020000D", MADE_BY_MODALITY)
    assert [as_shown(piece) for piece in decision.evidence if piece.key == "person"] == [("agrees", *who)]
    assert decision.rule == "person"
    (candidate,) = decision.candidates
    assert (candidate.keys, candidate.contradictions) == (("person",), ())
    assert candidate.warnings == ("linked-by-person",)


def test_a_person_s_unlink_is_shown_with_who_when_and_why() -> None:
    said = decided("unlink", jane_s(), user="ann", reason="wrong side")
    decision = decide(study(header(accession="A1"), decisions=[said]), [jane_s(accession="A1")])

    (piece,) = (piece for piece in decision.evidence if piece.key == "person")
    who = ("bridge unlink", "ann, 2026-02-01T08:00:00Z: wrong side"), ("0020000D", MADE_BY_MODALITY)
    assert as_shown(piece) == ("differs", *who)
    (finding,) = decision.contradictions
    assert (finding.ordered, finding.received) == (piece.ordered, piece.received)


def as_shown(piece: Evidence) -> tuple[str, tuple[str, str], tuple[str, str]]:
    return piece.outcome, (piece.ordered.path, piece.ordered.value), (piece.received.tag, piece.received.value)


def test_a_link_that_the_keys_give_as_well_keeps_its_rule() -> None:
    said = study(header(accession="A1"), decisions=[decided("link", jane_s())])

    assert decide(said, [jane_s(accession="A1")]).rule == "accession-number"


def test_what_a_person_overrides_keeps_both_values_and_is_no_contradiction_any_more() -> None:
    said = study(header(accession="A1"), decisions=[decided("link", john_s())])
    decision = decide(said, [john_s(accession="A1")])

    (finding,) = (finding for finding in decision.warnings if finding.code == "overridden-patient-differs")
    assert finding.ordered is not None
    assert finding.received is not None
    assert (finding.ordered.value, finding.received.value) == ("200", "100")
    assert decision.candidates[0].contradictions == ()


def test_a_link_that_holds_no_more_is_still_shown() -> None:
    said = study(header(), decisions=[decided("link", jane_s("F1"), overrides=())])
    (candidate,) = decide(said, [jane_s("F1", control="CA")]).candidates

    assert (candidate.keys, candidate.contradictions, candidate.warnings) == (("person",), ("order-cancelled",), ())


def test_a_suggested_order_is_shown_with_what_speaks_against_it() -> None:
    married = person("100^HOSP", "Smith^Jane", "1970-01-31")
    cancelled = order("F1", control="CA", patient=married, **CT_TODAY)
    decision = decide(study(header(date="2026-03-01")), [cancelled])

    (candidate,) = decision.candidates
    assert candidate.keys == ("patient-modality-day",)
    assert candidate.contradictions == ("order-cancelled",)
    assert candidate.warnings == ("patient-name-differs",)


def test_every_code_stands_in_a_situation_and_no_other_code_is_used() -> None:
    decisions = [judged(situation) for situation in SITUATIONS.values()]

    def seen(name: str) -> set[str]:
        return {finding.code for decision in decisions for finding in getattr(decision, name)}

    assert seen("warnings") == set(WARNINGS)
    assert seen("contradictions") == {*REASONS[CONFLICT]} >= {*CONTRADICTIONS}
    assert {(decision.verdict, decision.reason) for decision in decisions} == {
        (MATCHED, None),
        *((verdict, reason) for verdict, reasons in REASONS.items() for reason in reasons),
    }
    keys = {key for decision in decisions for candidate in decision.candidates for key in candidate.keys}
    assert keys > {"person", *SUGGESTIONS}
    assert {f.hint for decision in decisions for f in (*decision.evidence, *decision.contradictions)} <= {None, *HINTS}


# What the store finds is enough


def test_every_candidate_is_found_in_both_directions() -> None:
    for situation in SITUATIONS.values():
        decision, persons = judged(situation), situation.persons
        by_id = {one.id: one for one in situation.orders}
        stored = study_lookups(situation.objects) | decision_lookups(situation.decisions)
        sought = linking(stored) | suggestions(situation.objects, persons) | decision_lookups(situation.decisions)
        first = [one for one in situation.orders if sought & order_lookups(one)]
        sought |= {pair for one in first for pair in successor_lookups(one)}
        for candidate in decision.candidates:
            found = by_id[candidate.order]
            assert sought & order_lookups(found)
            replaced = [one for one in situation.orders if predecessor_lookups(found) & order_lookups(one)]
            affected = affecting(order_lookups(found)) | suggesting(found, persons)
            assert stored & affected.union(*(linking(order_lookups(one)) for one in replaced))


def test_an_order_without_any_number_is_found_by_its_id() -> None:
    nameless = order("", uid="1.1")
    said = [decided("link", nameless)]

    assert decision_lookups(said) & affecting(order_lookups(nameless)) == {("order-id", nameless.id)}
    assert decide(study(header(), decisions=said), [nameless]).orders == (nameless.id,)


def test_a_cancelled_order_alone_has_successors() -> None:
    assert successor_lookups(jane_s("F1", placer="P1")) == frozenset()
    assert successor_lookups(CANCELLED) == {
        ("replaces-filler-order-number", "F1"),
        ("replaces-placer-order-number", "P1"),
    }


def test_patients_without_any_identifier_are_suggested_by_their_birth_date() -> None:
    elsewhere = order("F1", patient=person("", "Doe^Jane", "1970-01-31"), **CT_TODAY)
    said = header(date="2026-03-01", patient=person("", "Doe^Jane", "1970-01-31"))

    assert suggestions([said]) & order_lookups(elsewhere)
    assert decide(study(said), [elsewhere]).candidates[0].keys == ("patient-modality-day",)


def test_nobody_is_looked_up_by_a_placeholder() -> None:
    nobody = person("0 UNKNOWN", "Doe^Jane", "1900-01-01")

    assert not suggestions([header(patient=nobody, date="2026-03-01")])
    assert not affecting(order_lookups(order("0", placer="NONE", accession="N/A", patient=nobody, **CT_TODAY))) - {
        ("order-id", order("0", placer="NONE", accession="N/A", patient=nobody, **CT_TODAY).id)
    }


def test_a_rule_gives_keys_in_the_order_of_strength_without_placeholders() -> None:
    said = header(uid="1.1", accession="0", requests=(request("A1", uid="1.2", placer="P1", filler="F1"),))

    assert [(key.rule, key.number.value) for key in study_keys([said])] == [
        ("study-instance-uid", "1.1"),
        ("study-instance-uid", "1.2"),
        ("accession-number", "A1"),
        ("filler-order-number", "F1"),
        ("placer-order-number", "P1"),
    ]
    assert [(key.rule, key.number.value) for key in order_keys(jane_s(uid="1.1", accession="A1 100", placer="P1"))] == [
        ("study-instance-uid", "1.1"),
        ("accession-number", "A1"),
        ("filler-order-number", "F1"),
        ("placer-order-number", "P1"),
    ]


def test_nothing_is_known_of_a_study_without_objects() -> None:
    assert decide(study(), [jane_s(uid="1.1")]) == Decision(PENDING, "no-instances")
    assert study_of([]).keys == ()
