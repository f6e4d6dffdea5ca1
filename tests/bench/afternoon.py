"""The script that a user would write in an afternoon: hl7apy, pydicom, SQLite, and one message after the other.

`python afternoon.py URL QUEUE EXCHANGE DATABASE`, until SIGTERM. An order and an object of one study become one event.
Each message is committed, its events are confirmed, and then it is acknowledged.
"""

import json
import signal
import sqlite3
import sys
import threading
from collections.abc import Iterator
from io import BytesIO

from hl7apy.parser import parse_message
from pika import BlockingConnection, URLParameters
from pika.adapters.blocking_connection import BlockingChannel
from pika.spec import Basic, BasicProperties
from pydicom import dcmread

EVENT = "enriched"


class Script:
    """One connection, one database."""

    def __init__(self, url: str, exchange: str, database: str) -> None:
        self.channel: BlockingChannel = BlockingConnection(URLParameters(url)).channel()
        self.channel.confirm_delivery()
        self.channel.basic_qos(prefetch_count=100)
        self._exchange = exchange
        self._database = sqlite3.connect(database)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=FULL")
        self._database.execute("CREATE TABLE IF NOT EXISTS orders (study TEXT PRIMARY KEY, doc TEXT)")
        self._database.execute("CREATE TABLE IF NOT EXISTS objects (uid TEXT PRIMARY KEY, study TEXT, doc TEXT)")
        self._database.execute("CREATE INDEX IF NOT EXISTS objects_by_study ON objects (study)")

    def on_message(
        self, channel: BlockingChannel, method: Basic.Deliver, properties: BasicProperties, body: bytes
    ) -> None:
        is_object = properties.content_type == "application/dicom"
        for uid, event in self._object(body) if is_object else self._order(body):
            stated = BasicProperties(content_type="application/json", delivery_mode=2, type=EVENT, message_id=uid)
            channel.basic_publish(self._exchange, EVENT, json.dumps(event), stated, mandatory=True)
        channel.basic_ack(method.delivery_tag)

    def _order(self, body: bytes) -> Iterator[tuple[str, dict[str, object]]]:
        message = parse_message(body.decode(), find_groups=False)
        study = message.zds.zds_1.value.partition("^")[0]
        order = {
            "placer": message.orc.orc_2.value,
            "filler": message.orc.orc_3.value,
            "accession": message.obr.obr_18.value,
            "patient": message.pid.pid_3.value,
            "name": message.pid.pid_5.value,
        }
        self._database.execute("INSERT OR REPLACE INTO orders VALUES (?, ?)", (study, json.dumps(order)))
        self._database.commit()
        for uid, doc in self._database.execute("SELECT uid, doc FROM objects WHERE study = ?", (study,)).fetchall():
            yield uid, {"order": order, "instance": json.loads(doc)}

    def _object(self, body: bytes) -> Iterator[tuple[str, dict[str, object]]]:
        header = dcmread(BytesIO(body), stop_before_pixels=True)
        uid, study = str(header.SOPInstanceUID), str(header.StudyInstanceUID)
        instance = {
            "series": str(header.SeriesInstanceUID),
            "instanceNumber": str(header.InstanceNumber),
            "accession": header.AccessionNumber,
            "patient": header.PatientID,
            "name": str(header.PatientName),
        }
        self._database.execute("INSERT OR REPLACE INTO objects VALUES (?, ?, ?)", (uid, study, json.dumps(instance)))
        self._database.commit()
        found = self._database.execute("SELECT doc FROM orders WHERE study = ?", (study,)).fetchone()
        if found:
            yield uid, {"order": json.loads(found[0]), "instance": instance}


def main() -> None:
    url, queue, exchange, database = sys.argv[1:]
    script = Script(url, exchange, database)
    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    script.channel.basic_consume(queue, script.on_message)
    while not ending.is_set():
        script.channel.connection.process_data_events(0.1)
    script.channel.connection.close()


if __name__ == "__main__":
    main()
