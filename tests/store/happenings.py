"""What happens to a site, in few words: between them these make every statement that messages and people lead to.

Each begins where one order and its object have been received (`begin`).
"""

from collections.abc import Callable

from bridge.core.ports import Delivery
from bridge.store import outbox
from tests.desk import Desk, dicom, hl7
from tests.samples import ROOT, adt, ct, orm, oru, rejection_note, siu

STUDY = f"{ROOT}.1"
OTHER_STUDY = f"{ROOT}.2"


def begin(desk: Desk) -> None:
    desk.receive(hl7(orm(1, accession="A1")), dicom(ct(1, study=STUDY, patient="PAT1", accession="A1")))


def orders_and_objects(desk: Desk) -> None:
    desk.receive(dicom(ct(2, study=STUDY), message_id="m1"))
    desk.receive(hl7(orm(2, study=STUDY, accession="A2"), message_id="m2"))
    desk.receive(hl7(orm(2, control="XO", accession="A3", patient="PAT2", time="20261123093000")))
    desk.receive(hl7(orm(2, control="CA", accession="A3", time="20261123094000")))


def moved_and_suggested_objects(desk: Desk) -> None:
    desk.receive(dicom(ct(1, study=OTHER_STUDY, patient="PAT1")), dicom(ct(2, study=STUDY)))
    desk.receive(dicom(ct(1, study=OTHER_STUDY, patient="PAT9", name="Smith^John", birth_date="19551224")))
    desk.receive(dicom(ct(3, study=OTHER_STUDY, patient="PAT1", StudyDate="20261124")))


def a_redelivered_message(desk: Desk) -> None:
    desk.receive(dicom(ct(4, study=STUDY), redelivered=True))
    desk.receive(hl7(b"no message"))
    desk.receive(hl7(b"no message", redelivered=True))


def patient_messages_and_merges(desk: Desk) -> None:
    desk.receive(hl7(adt("A08", "PAT1^^^HOSP^MR", name="Miller^Jane")))
    desk.receive(hl7(adt("A40", "NEW^^^HOSP^MR", prior="PAT1^^^HOSP^MR")))
    desk.receive(hl7(adt("A40", "NEWER^^^HOSP^MR", prior="NEW^^^HOSP^MR")))


def reports(desk: Desk) -> None:
    desk.receive(hl7(oru(1, "P", accession="A1")))
    desk.receive(hl7(oru(1, "F", accession="A1", time="20261123130000")))


def appointments(desk: Desk) -> None:
    desk.receive(hl7(siu("S12", 1)))
    desk.receive(hl7(siu("S15", 1, time="20261123100000")))


def rejection_notes(desk: Desk) -> None:
    desk.receive(dicom(rejection_note(9, study=STUDY, rejects=(1, 5), patient="PAT1")))
    desk.receive(dicom(rejection_note(9, study=STUDY, rejects=(5,), patient="PAT1")))
    desk.receive(dicom(ct(5, study=STUDY, patient="PAT1", accession="A1")))


def deadlines(desk: Desk) -> None:
    desk.receive(dicom(ct(6, study=OTHER_STUDY)))
    desk.wait(60)
    desk.receive(dicom(ct(7, study=STUDY, patient="PAT1", accession="A1")))
    desk.wait(60)
    desk.wait(86400)


def decisions_of_people(desk: Desk) -> None:
    desk.unlink(STUDY)
    desk.link(STUDY, "F-1")
    desk.undo(STUDY)
    desk.unmerge("PAT1^HOSP", "NEW^HOSP")


def confirmations(desk: Desk) -> None:
    with desk.store.write() as db:
        refused, *sent = outbox.owed(db, 100)
        outbox.settle(db, {one.id: Delivery.SENT for one in sent})
        outbox.refuse(db, [refused.id])
        outbox.owed(db, 100)


HAPPENINGS: tuple[Callable[[Desk], None], ...] = (
    orders_and_objects,
    moved_and_suggested_objects,
    a_redelivered_message,
    patient_messages_and_merges,
    reports,
    appointments,
    rejection_notes,
    deadlines,
    decisions_of_people,
    confirmations,
)
