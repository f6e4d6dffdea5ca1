"""What a message costs, counted: it must not grow with what is stored, nor with the objects of its study."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from sqlalchemy import event

from bridge.core.matching import decide
from bridge.core.orders import assemble
from bridge.core.ports import Inbound
from bridge.core.rules import order_lookups
from tests.core.builders import person, update
from tests.desk import Desk, dicom, hl7
from tests.samples import ROOT, ct, orm

STUDY = f"{ROOT}.1"


class Work:
    """What was done in a stretch of time. Whatever SQLite looks at, each row of a result, takes it a few steps."""

    def __init__(self) -> None:
        self.statements = self.steps = self.decisions = 0

    def costs_what(self, other: "Work") -> bool:
        """One step more or less is by chance: the values that a statement looks for have no sequence."""
        return self.statements == other.statements and abs(self.steps - other.steps) < 10


@contextmanager
def counted(desk: Desk) -> Iterator[Work]:
    """Counts what the desk does."""
    work = Work()

    def statement(*_said: object) -> None:
        work.statements += 1

    def step() -> None:
        work.steps += 1

    def begin(connection: Any, *_said: object) -> None:
        connection.set_progress_handler(step, 1)

    def end(connection: Any, *_said: object) -> None:
        connection.set_progress_handler(None, 1)

    def call(frame: FrameType, kind: str, _argument: object) -> None:
        work.decisions += kind == "call" and frame.f_code is decide.__code__

    listeners: dict[str, Callable[..., object]] = {
        "before_cursor_execute": statement,
        "checkout": begin,
        "checkin": end,
    }
    for name, listener in listeners.items():
        event.listen(desk.store._engine, name, listener)
    sys.setprofile(call)
    try:
        yield work
    finally:
        sys.setprofile(None)
        for name, listener in listeners.items():
            event.remove(desk.store._engine, name, listener)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def one_object(number: int) -> Inbound:
    return dicom(ct(number, study=STUDY, patient="PAT1", accession="A1", instance=number))


def other_orders(desk: Desk, numbers: range) -> None:
    """Puts orders into the store as messages would, each with a number and a patient of its own."""
    updates = [
        update(
            f"F-{n}^RIS", placer=f"P-{n}", accession=f"A{n}", modality="CT", patient=person(f"PAT{n}^HOSP", "Doe^Jane")
        )
        for n in numbers
    ]
    orders = assemble(updates).values()
    with desk.store.write() as db:
        db.add_facts([(None, said) for said in updates])
        db.save_orders(orders, [])
        db.save_owners("order", [(key, order.id) for order in orders for key in order_lookups(order)], [])


def test_the_2000th_object_of_a_matched_study_decides_nothing_and_costs_what_the_20th_did(desk: Desk) -> None:
    desk.receive(hl7(orm(1, accession="A1")), *map(one_object, range(1, 20)))
    before = desk.study(STUDY)
    desk.take()
    with counted(desk) as at_20:
        desk.receive(one_object(20))
    desk.receive(*map(one_object, range(21, 2000)))
    with counted(desk) as at_2000:
        desk.receive(one_object(2000))
    assert desk.take() == ["instance.enriched"] * 1981
    assert at_20.decisions == at_2000.decisions == 0
    assert at_2000.costs_what(at_20)
    after = desk.study(STUDY)
    assert (after.revision, after.decision) == (before.revision, before.decision)
    assert sum(after.series.values()) == 2000


def test_an_object_whose_header_says_something_new_is_decided_once(desk: Desk) -> None:
    desk.receive(hl7(orm(1, accession="A1")), *map(one_object, range(1, 20)))
    with counted(desk) as work:
        desk.receive(dicom(ct(20, study=STUDY, patient="PAT1", accession="A1", StudyDate="20261123")))
    assert work.decisions == 1


@pytest.mark.parametrize("arriving", ["order", "object"])
def test_what_meets_one_study_or_order_does_not_care_how_many_other_orders_there_are(desk: Desk, arriving: str) -> None:
    def meeting(number: int) -> Work:
        study = f"{ROOT}.{number}"
        order = hl7(orm(number, accession=f"A{number}", study=study))
        image = dicom(ct(number, study=study, patient=f"PAT{number}", accession=f"A{number}"))
        first, second = (image, order) if arriving == "order" else (order, image)
        desk.receive(first)
        desk.take()
        with counted(desk) as work:
            desk.receive(second)
        assert desk.take() == ["study.matched", "instance.enriched"]
        return work

    meeting(1)  # what is empty costs less
    other_orders(desk, range(100, 110))
    with_10 = meeting(2)
    other_orders(desk, range(110, 5_100))
    with_5000 = meeting(3)
    assert with_10.decisions == with_5000.decisions == 1
    assert with_5000.costs_what(with_10)
