"""What is counted: exactly, once it is durable, and without anything of a message."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.parser import text_string_to_metric_families

from bridge import metrics
from bridge.core.errors import Unavailable
from bridge.core.events import event_type
from bridge.core.ports import Delivery, Inbound, Outbound, Outcome, Rejection, Verb
from bridge.store.transaction import Transaction
from tests.conftest import REPOSITORY
from tests.desk import Desk, dicom, hl7
from tests.samples import ROOT, ct, orm


def figures() -> dict[str, float]:
    """Every sample as Prometheus reads it: `name{label=value,…}`."""
    return {
        f"{sample.name}{{{','.join(f'{name}={value}' for name, value in sorted(sample.labels.items()))}}}": sample.value
        for family in text_string_to_metric_families(metrics.text().decode())
        for sample in family.samples
    }


class Change:
    """By how much the figures changed since this was made: other tests count, too."""

    def __init__(self) -> None:
        self._before = figures()

    def of(self, sample: str) -> float:
        return round(figures().get(sample, 0.0) - self._before.get(sample, 0.0), 6)


def event(row: int, name: str = "study.matched") -> Outbound:
    time = "2026-11-23T09:00:00.000000Z"
    return Outbound(row, "images", "study.matched.CT", f"id-{row}", event_type(name), time, b"{}", headers={})


def test_a_batch_is_counted_and_timed_once_it_is_durable() -> None:
    clock = iter((100.0, 200.0, 203.5)).__next__
    answers = iter(([Verb.RETRY] * 3, [Verb.ACCEPTED, Verb.ACCEPTED, Verb.RETRY]))
    receive = metrics.measured(lambda _batch: [Outcome(verb) for verb in next(answers)], clock)
    change = Change()
    receive([Inbound("images", b"")] * 3)
    assert change.of("bridge_batch_seconds_count{channel=images}") == 0
    receive([Inbound("images", b"")] * 3)
    assert change.of("bridge_batch_seconds_sum{channel=images}") == 3.5
    assert change.of("bridge_batch_messages_sum{channel=images}") == 2
    assert change.of("bridge_batch_messages_bucket{channel=images,le=1.0}") == 0
    assert change.of("bridge_batch_messages_bucket{channel=images,le=2.0}") == 1


def test_what_is_rejected_is_counted_by_channel_and_code() -> None:
    message = Inbound("orders", b"garbage")
    rejections = tuple(Rejection(f"id{i}", message, "hl7-no-msh", "no MSH") for i in range(2))
    change = Change()
    metrics.measured(lambda _batch: [Outcome(Verb.REJECTED, rejections)], lambda: 0.0)([message])
    assert change.of("bridge_rejections_total{channel=orders,code=hl7-no-msh}") == 2


def test_messages_and_changes_of_verdicts_are_counted_as_they_are_stored(tmp_path: Path) -> None:
    desk, change = Desk(tmp_path), Change()
    study = f"{ROOT}.1"
    obj = dicom(ct(1, study=study, patient="PAT1"))
    desk.receive(obj, obj, hl7(b"MSH|^~\\&|A|B|||20261123||ACK^A01|1|P|2.3\r"))
    desk.receive(obj, hl7(b"garbage"))
    assert change.of("bridge_verdicts_total{verdict=pending}") == 1
    assert change.of("bridge_verdicts_total{verdict=matched}") == 0
    desk.receive(hl7(orm(1, study=study)))
    desk.receive(hl7(orm(1, study=study, time="20261123083100")))
    assert change.of("bridge_messages_total{channel=images,outcome=TRANSFORMED}") == 1
    assert change.of("bridge_messages_total{channel=images,outcome=DUPLICATE}") == 2
    assert change.of("bridge_messages_total{channel=orders,outcome=FILTERED}") == 1
    assert change.of("bridge_messages_total{channel=orders,outcome=ERROR}") == 1
    assert change.of("bridge_messages_total{channel=orders,outcome=TRANSFORMED}") == 2
    assert change.of("bridge_verdicts_total{verdict=pending}") == 1
    assert change.of("bridge_verdicts_total{verdict=matched}") == 1
    desk.close()


def test_what_was_rolled_back_is_not_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk, change = Desk(tmp_path), Change()

    def roll_back(work: Callable[[Transaction], object]) -> None:
        with desk.store.write() as db:
            work(db)
            raise Unavailable("the database is full")

    monkeypatch.setattr(desk.store, "transact", roll_back)
    assert desk.receive(dicom(ct(1, study=f"{ROOT}.1"))) == [Verb.RETRY]
    assert change.of("bridge_messages_total{channel=images,outcome=TRANSFORMED}") == 0
    assert change.of("bridge_verdicts_total{verdict=pending}") == 0
    desk.close()


def test_an_event_takes_from_the_arrival_of_its_message_to_the_brokers_confirm() -> None:
    clock = iter((30.0, 40.0)).__next__
    delays = metrics.Delays(clock, lambda: "2026-11-23T09:00:07.000000Z")
    answers = iter(([Delivery.FAILED, Delivery.SENT, Delivery.REFUSED], [Delivery.UNROUTED]))
    owe = delays.owing(lambda _events: None)
    send = delays.sending(lambda _batch: next(answers))

    def receive(batch: object) -> list[Outcome]:
        owe([event(1), event(2)])
        return [Outcome(Verb.ACCEPTED)] * 2

    change = Change()
    delays.receiving(receive)([Inbound("images", b"", arrived=25.0), Inbound("images", b"", arrived=20.0)])
    send([event(1), event(2), event(3)])
    assert change.of("bridge_event_delay_seconds_sum{since=arrival}") == 10.0
    assert change.of("bridge_event_delay_seconds_count{since=arrival}") == 1
    send([event(1)])
    assert change.of("bridge_event_delay_seconds_sum{since=arrival}") == 30.0
    assert change.of("bridge_event_delay_seconds_count{since=decision}") == 0
    assert change.of("bridge_events_total{delivery=failed,type=study.matched}") == 1
    assert change.of("bridge_events_total{delivery=unrouted,type=study.matched}") == 1
    assert change.of("bridge_events_total{delivery=refused,type=study.matched}") == 1


def test_an_event_whose_message_was_not_seen_takes_from_its_decision() -> None:
    delays = metrics.Delays(lambda: 0.0, lambda: "2026-11-23T09:00:07.500000Z")
    change = Change()
    delays.sending(lambda batch: [Delivery.SENT] * len(batch))([event(1, "study.settled")])
    assert change.of("bridge_event_delay_seconds_sum{since=decision}") == 7.5
    assert change.of("bridge_events_total{delivery=sent,type=study.settled}") == 1


def test_arrivals_of_events_that_another_process_publishes_are_not_kept_for_ever() -> None:
    delays = metrics.Delays(lambda: 50.0, lambda: "2026-11-23T09:00:00.000000Z")
    owe = delays.owing(lambda _events: None)

    def receive(batch: object) -> list[Outcome]:
        owe([event(row) for row in range(30_000)])
        return []

    delays.receiving(receive)([Inbound("images", b"", arrived=20.0)])
    change = Change()
    send = delays.sending(lambda batch: [Delivery.SENT] * len(batch))
    send([event(row) for row in range(30_000)])
    assert change.of("bridge_event_delay_seconds_count{since=arrival}") == 20_000
    assert change.of("bridge_event_delay_seconds_count{since=decision}") == 10_000


def test_what_is_purged_is_counted_by_kind() -> None:
    change = Change()
    metrics.purged({"messages": 3, "bodies": 1})
    metrics.purged({"messages": 2})
    metrics.purge_ended("2026-11-23T09:00:00.000000Z")
    assert change.of("bridge_purged_total{kind=messages}") == 5
    assert figures()["bridge_last_purge_timestamp_seconds{}"] == 1795424400


METRICS = [one for one in vars(metrics).values() if isinstance(one, MetricWrapperBase)]
OPERATIONS = (REPOSITORY / "docs" / "operations.md").read_text()


def names() -> dict[str, tuple[str, ...]]:
    """Every metric as Prometheus names it, with its labels."""
    labels = {one.describe()[0].name: tuple(one._labelnames) for one in METRICS}
    return {
        family.name + ("_total" if family.type == "counter" else ""): labels.get(family.name, ())
        for family in metrics.REGISTRY.collect()
    }


def test_every_metric_is_documented_with_its_labels_and_no_other() -> None:
    section = OPERATIONS.partition("### Metrics")[2].partition("\n##")[0]
    documented = {}
    for line in section.splitlines():
        if line.startswith("| `bridge_"):
            cells = line.strip("|").split(" |")
            for name in re.findall(r"`(\w+)`", cells[0]):
                documented[name] = tuple(re.findall(r"`(\w+)`", cells[1]))
    assert documented == names()


def test_every_metric_that_an_alert_or_a_symptom_names_exists() -> None:
    assert set(re.findall(r"\bbridge_[a-z_]+[a-z]\b(?!…)", OPERATIONS)) <= set(names())


def test_every_outcome_of_a_publication_is_documented() -> None:
    [line] = [line for line in OPERATIONS.splitlines() if line.startswith("| `bridge_events_total`")]
    assert set(Delivery) <= set(re.findall(r"[a-z]+", line))


def test_no_label_can_hold_anything_of_a_message() -> None:
    assert {label for one in METRICS for label in one._labelnames} == {
        *("channel", "outcome", "code", "verdict", "type", "delivery", "since", "connection", "lease", "kind"),
        *("version", "site"),
    }
