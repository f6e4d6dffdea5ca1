"""The product's main job on real input, shown live: `bridge demo`, behind `make demo`.

Every line that it prints is an event that a consumer received from RabbitMQ. It says what each step must yield, and
ends with an error when anything is not as stated.
"""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from bridge import amqp, figures
from bridge.app import topology_of
from bridge.config import load_channels, starter_channels
from bridge.core.channel import DataType
from bridge.core.errors import ConfigError, Unavailable
from bridge.core.events import event_name
from bridge.core.rules import RULES
from bridge.examples import example_file
from bridge.formats.dicom import read_instance
from bridge.localbroker import LocalBroker
from bridge.sending import addressed, order_name
from bridge.store.store import Store

FOLDER = Path("demo")
_PATIENCE = 20.0  # seconds until an event that is owed counts as missing
_COLUMNS = "{:<22} {:<7} {:>16}  {:<9} {:<44} {}"
_END = "demo.end"  # routing key of what is published last, for the demo's own consumer
_KEYS = {rule.name for rule in RULES}
_SHARED_NUMBER = "2008050417172310"


class Step(NamedTuple):
    """A file, and the instance and message events that it must lead to: object, fact, and order or reason."""

    file: str
    events: Sequence[tuple[str, str, str]] = ()


def _objects() -> list[Step]:
    """Objects that meet an order which is already known, or none."""
    linked = {
        "CT_small.dcm": "F-1001",
        "examples_overlay.dcm": "F-1003",
        "MR_small.dcm": "F-1004-1",
        "examples_rgb_color.dcm": "F-1004-2",
        "JPEG2000.dcm": "F-1004-3",
        "chrJapMulti.dcm": "F-1005",
        "rtdose.dcm": "F-1006",
        "test-SR.dcm": "F-1007",
        "examples_ybr_color.dcm": "F-1008",
        "chrH31.dcm": "F-1009",
    }
    waiting = {
        "chrKoreanMulti.dcm": ("conflict", "patient-differs"),
        "waveform_ecg.dcm": ("pending", "no-order"),
        "693_J2KI.dcm": ("pending", "patient-identity-removed"),
        "rtplan.dcm": ("pending", "no-order"),
    }
    steps = [Step(f"pydicom:{name}", [(name, "enriched", order)]) for name, order in linked.items()]
    return steps + [Step(f"pydicom:{name}", [(name, fact, reason)]) for name, (fact, reason) in waiting.items()]


_ORDERS_FIRST = [
    Step(f"examples/{name}.hl7")
    for name in (
        "orm-zds",
        "orm-obr18",
        "omi-three-groups",
        "orm-shared-number",
        "orm-rtdose",
        "orm-sr",
        "orm-multiframe",
        "orm-ideographic",
    )
]
_ORDER_AFTER_ITS_OBJECT = [Step("examples/orm-late.hl7", [("rtplan.dcm", "enriched", "F-1002")])]
_TROUBLE = [
    Step("pydicom:CT_small.dcm"),  # delivered twice: no second event
    Step("truncated.dcm", [("truncated.dcm", "rejected", "dicom-truncated")]),
    Step("examples/adt-a08.hl7"),  # a patient: read and kept
    Step("examples/ack.hl7"),  # an acknowledgement: filtered
    Step("examples/garbage.hl7", [("garbage.hl7", "rejected", "hl7-no-msh")]),
]


def run() -> int:
    """Shows it; 0 when everything was as stated, else 1."""
    began = time.monotonic()
    FOLDER.mkdir(mode=0o700, exist_ok=True)
    for left_over in FOLDER.glob("bridge.db*"):
        left_over.unlink()
    channels = starter_channels().resolve()
    topology = topology_of(load_channels(channels))
    with _broker(topology) as url:
        settings = FOLDER / "bridge.toml"
        settings.write_text(
            f'amqp_url = "{url}"\ndatabase_url = "sqlite:///bridge.db"\nchannels = "{channels}"\nsite = "demo"\n'
        )
        os.chmod(settings, 0o600)
        with _service(settings):
            shown = _Shown(url, topology.event_exchanges[0])
            print(f"\n{len(_ORDERS_FIRST)} order messages first, then objects; each line is an event from RabbitMQ\n")
            print(_COLUMNS.format("object", "modality", "instance number", "verdict", "because", "order"))
            for title, steps in (
                ("", _ORDERS_FIRST + _objects()),
                ("an order that arrives after its object", _ORDER_AFTER_ITS_OBJECT),
                ("a duplicate, two messages that are no orders, and two that cannot be read", _TROUBLE),
            ):
                print(f"-- {title}" if title else "-- orders first, then objects")
                for step in steps:
                    shown.play(step)
        mistakes = shown.mistakes + _reckoning(url, shown)
    for mistake in mistakes:
        print(f"NOT AS STATED: {mistake}")
    bridge = f"{Path(sys.executable).parent / 'bridge'} --config {settings}"
    print(f"\nevents    {shown.file}   (service log: {FOLDER / 'bridge.log'})")
    print(f"next      {os.path.relpath(bridge)} explain {_SHARED_NUMBER}      # why the conflict?")
    print(f"          {os.path.relpath(bridge)} explain 1CT1 --json           # the same for programs, by patient ID")
    print(f"took      {time.monotonic() - began:.0f} s")
    return 1 if mistakes else 0


@contextmanager
def _broker(topology: amqp.Topology) -> Iterator[str]:
    """BRIDGE_AMQP_URL where that is set, and left as it was found; else a private node."""
    given = os.environ.get("BRIDGE_AMQP_URL")
    if not given:
        with LocalBroker() as broker:
            yield broker.url
        return
    queues = [amqp.DEAD, *(source.name for source in topology.sources)]
    states = {name: amqp.queue_state(given, name) for name in queues}
    used = [name for name, state in states.items() if state and (state.messages or state.consumers)]
    if used:
        raise ConfigError(f"BRIDGE_AMQP_URL: {', '.join(used)} is in use; the demo needs a broker without a bridge")
    try:
        yield given
    finally:
        amqp.remove(given, topology, [name for name, state in states.items() if state is None])


@contextmanager
def _service(settings: Path) -> Iterator[None]:
    """`bridge run`, ready to take messages; at the end it has finished what was delivered."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BRIDGE_")}
    command = [sys.executable, "-m", "bridge", "--config", str(settings), "run"]
    with (
        (FOLDER / "bridge.log").open("w") as log,
        subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as service,  # noqa: S603
    ):
        ready = threading.Event()

        def keep_log() -> None:
            for line in service.stderr or ():
                log.write(line)
                log.flush()
                if '"message": "ready"' in line:
                    ready.set()
            ready.set()

        reader = threading.Thread(target=keep_log, daemon=True)
        reader.start()
        try:
            ready.wait(_PATIENCE)
            if service.poll() is not None:
                raise Unavailable(f"bridge run ended by itself; see {log.name}")
            yield
        finally:
            with suppress(ProcessLookupError):
                service.send_signal(signal.SIGTERM)
            service.wait(_PATIENCE * 3)
            reader.join()


class _Shown:
    """Publishes step by step, and prints and checks the events that come back."""

    def __init__(self, url: str, exchange: str) -> None:
        self.published = 0
        self.received = 0
        self.mistakes: list[str] = []
        self.file = FOLDER / "events.jsonl"
        self.file.write_bytes(b"")
        self._url = url
        self._folder = str(starter_channels())
        self._names: dict[str, str] = {}  # of objects by SOP and Study Instance UID, of messages by AMQP message_id
        self._events: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        listening = threading.Event()

        def listen() -> None:
            for key, body in amqp.events(url, exchange, "#", None):
                if key == _END:
                    break
                listening.set() if not key else self._events.put(body)

        self._exchange = exchange
        self._listener = threading.Thread(target=listen, daemon=True)
        self._listener.start()
        if not listening.wait(_PATIENCE):
            raise Unavailable("the demo's own consumer got no queue")

    def play(self, step: Step) -> None:
        """Publishes the file of a step, and waits for what it must lead to."""
        self._publish(step.file)
        expected = list(step.events)
        while expected:
            try:
                event = self._next()
            except queue.Empty:
                self.mistakes.append(f"{step.file}: no event {' '.join(expected[0])} within {_PATIENCE:.0f} s")
                return
            happened = self._show(event)
            if happened is None:
                continue
            if happened not in expected:
                self.mistakes.append(f"{step.file}: event {' '.join(happened)}")
                return
            expected.remove(happened)

    def rest(self) -> None:
        """Ends listening, and shows what came without being expected; a mistake."""
        end = amqp.Publication(self._exchange, _END, b"", amqp.properties(), key=_END)
        amqp.publish(self._url, [end])
        self._listener.join(_PATIENCE)
        while not self._events.empty():
            if happened := self._show(self._next()):
                self.mistakes.append(f"unexpected event {' '.join(happened)}")

    def _next(self) -> dict[str, Any]:
        body = self._events.get(timeout=_PATIENCE)
        self.received += 1
        with self.file.open("ab") as kept:
            kept.write(body + b"\n")
        event: dict[str, Any] = json.loads(body)
        return event

    def _publish(self, file: str) -> None:
        name = file.rpartition("/")[2].removeprefix("pydicom:")
        if name == "truncated.dcm":
            body = example_file(self._folder, "pydicom:CT_small.dcm").read_bytes()[:700]
        else:
            body = example_file(self._folder, file).read_bytes()
        kind = DataType.HL7V2 if name.endswith(".hl7") else DataType.DICOM
        if kind is DataType.DICOM and name != "truncated.dcm":
            instance = read_instance(body)
            self._names[instance.sop_instance_uid] = self._names[instance.statement.study_instance_uid] = name
        publication = addressed(body, kind, "bridge.in")
        self._names[publication.key] = name
        if amqp.publish(self._url, [publication]) != [amqp.Confirmation.CONFIRMED]:
            self.mistakes.append(f"{file}: the broker did not take it")
        self.published += 1

    def _show(self, event: dict[str, Any]) -> tuple[str, str, str] | None:
        """Prints one event; returns object, fact, and order or reason of those that a step states."""
        entity, _, fact = event_name(event["type"]).partition(".")
        data = event["data"]
        if entity == "message":
            name = self._names.get(data["message"]["messageID"], "?")
            print(_COLUMNS.format(name, "-", "-", "rejected", f"{data['code']}, kept in {amqp.DEAD}", "-"))
            return name, fact, data["code"]
        decided, orders = data["correlation"], [order_name(order) for order in data["orders"]]
        name = self._names.get(event["subject"], "?")
        verdict = decided["verdict"] if decided["verdict"] in ("matched", "pending") else decided["verdict"].upper()
        if entity == "study":
            modality = "/".join(data["study"]["modalities"])
            print(_COLUMNS.format(f"  its study: {fact}", modality, "", verdict, _because(decided), " ".join(orders)))
            return None
        number = data["instance"]["instanceNumber"]
        shown = f"{'-' if number['value'] is None else number['value']} {number['status']}"
        modality = data["instance"]["modality"] or "-"
        order = " ".join(orders)
        print(_COLUMNS.format(name, modality, shown, verdict, _because(decided), order or "-"), flush=True)
        return name, fact, order or decided["reason"]


def _because(decided: dict[str, Any]) -> str:
    """The key that order and object share, with the path of the order; and what speaks against the link."""
    shared = [
        f"{piece['key']} = {piece['ordered']['path']}"
        for piece in decided["evidence"]
        if piece["outcome"] == "agrees" and piece["key"] in _KEYS and decided["rule"] in (None, piece["key"])
    ]
    return ", but ".join([*shared[:1], *([decided["reason"]] if decided["reason"] else [])])


def _reckoning(url: str, shown: _Shown) -> list[str]:
    """Prints the ledger, and says where it does not add up."""
    store = Store(f"sqlite:///{FOLDER / 'bridge.db'}")
    ledger, _ = figures.ledger(store, url)
    shown.rest()
    messages, outbox = ledger["messages"], ledger["outbox"]
    read, filtered, rejected, repeated = (messages[s] for s in ("TRANSFORMED", "FILTERED", "ERROR", "DUPLICATE"))
    print(
        f"\nreceived {shown.published} = {read} read + {filtered} filtered + {repeated} duplicate + {rejected} rejected"
        f"      events owed {outbox['SENT'] + outbox['QUEUED']} = received by the consumer {shown.received}"
    )
    print("studies   " + ", ".join(f"{count} {verdict}" for verdict, count in ledger["studies"].items()))
    checks = {
        "messages received": (sum(messages.values()), shown.published),
        "duplicates": (repeated, 1),
        "filtered": (filtered, 1),
        "rejected": (rejected, 2),
        "dead letters": (ledger["dead"], 2),
        "events in the outbox": (outbox["QUEUED"], 0),
        "events without a queue": (outbox["UNROUTED"], 0),
        "events sent": (outbox["SENT"], shown.received),
    }
    return [f"{what}: {is_} instead of {must}" for what, (is_, must) in checks.items() if is_ != must]
