"""Where header and orders differ, and what the orders say: a proposal."""

from msgspec.structs import replace

from bridge.core.model import Identifier, Patient, PersonName
from bridge.core.orders import Order
from bridge.core.reconciliation import Difference, reconcile
from tests.core.builders import JANE, JOHN, header, order, person

SAID = header(uid="1.1", accession="A1")
ORDER = order(uid="1.1", accession="A1", patient=JANE)


def proposals(said_patient: Patient, *orders: Order) -> dict[str, tuple[str | None, str]]:
    said = replace(SAID, patient=header(patient=said_patient).patient)
    return {row.keyword: (row.received, row.ordered) for row in reconcile(said, orders)}


def test_where_all_agree_nothing_is_proposed() -> None:
    assert reconcile(SAID, [ORDER]) == ()


def test_without_order_nothing_is_proposed() -> None:
    assert reconcile(SAID, []) == ()


def test_every_attribute_that_differs_is_listed_with_tag_and_vr() -> None:
    said = header(uid="1.99", accession="A9", patient=JOHN)

    assert reconcile(said, [ORDER]) == (
        Difference("00080050", "AccessionNumber", "SH", "A9", "A1"),
        Difference("00100010", "PatientName", "PN", "Smith^John", "Doe^Jane"),
        Difference("00100020", "PatientID", "LO", "200", "100"),
        Difference("00100030", "PatientBirthDate", "DA", "1955-12-24", "1970-01-31"),
        Difference("00100040", "PatientSex", "CS", "M", "F"),
        Difference("0020000D", "StudyInstanceUID", "UI", "1.99", "1.1"),
    )


def test_what_the_header_leaves_empty_is_null_and_proposed() -> None:
    assert proposals(Patient(), ORDER) == {
        "PatientName": (None, "Doe^Jane"),
        "PatientID": (None, "100"),
        "PatientBirthDate": (None, "1970-01-31"),
        "PatientSex": (None, "F"),
    }


def test_what_the_order_leaves_out_is_not_proposed() -> None:
    assert reconcile(SAID, [order()]) == ()


def test_orders_that_disagree_among_themselves_propose_nothing() -> None:
    said = header(accession="A9")
    two = [order("F1", accession="A1"), order("F2", accession="A2")]

    assert reconcile(said, two) == ()


def test_a_value_of_any_of_the_orders_is_right() -> None:
    assert reconcile(SAID, [ORDER, replace(ORDER, accession_numbers=(Identifier("A2", "OBR-18"),))]) == ()


def test_an_order_that_says_nothing_does_not_keep_another_from_proposing() -> None:
    assert proposals(Patient(), order("F0", uid="1.1"), ORDER)["PatientSex"] == (None, "F")


def test_any_identifier_of_the_patient_is_right() -> None:
    two_numbers = order(uid="1.1", accession="A1", patient=person("55^OTHER 100^HOSP", "Doe^Jane", "1970-01-31", "F"))

    assert reconcile(SAID, [two_numbers]) == ()


def test_visit_and_account_numbers_are_not_proposed_as_patient_id() -> None:
    visit_first = order(uid="1.1", accession="A1", patient=person("V1^HOSP^VN 77^HOSP^MR", "Doe^Jane"))

    assert proposals(JANE, visit_first) == {"PatientID": ("100", "77")}


def test_another_patient_id_of_the_header_is_not_taken_for_its_patient_id() -> None:
    other_id_only = replace(SAID.patient, identifiers=(Identifier("100", "00101002[1].00100020"),))

    (row,) = reconcile(replace(SAID, patient=other_id_only), [ORDER])
    assert (row.keyword, row.received, row.ordered) == ("PatientID", None, "100")


def test_a_placeholder_is_not_proposed() -> None:
    assert reconcile(SAID, [order(uid="1.1", accession="NONE")]) == ()


def test_a_birth_date_that_the_order_knows_less_precisely_is_no_difference() -> None:
    assert proposals(JANE, order(patient=person(born="1970"))) == {}
    assert proposals(JANE, order(patient=person(born="1971"))) == {"PatientBirthDate": ("1970-01-31", "1971")}


def test_delimiters_at_the_end_of_a_name_are_no_difference() -> None:
    assert proposals(replace(JANE, names=(PersonName("Doe^Jane^^^"),)), ORDER) == {}
