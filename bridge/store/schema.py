"""The tables. What a row means stands here; how they came to be, in `migrations`.

Facts are kept as JSON documents of the core's own values (`doc`), each with the `doc_version` it was written in; the
columns are only what is searched for. Nothing here knows a rule of correlation.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
)

DOC_VERSION = 1

metadata = MetaData()

# SQLite gives only INTEGER PRIMARY KEY an automatic value.
_RowId = BigInteger().with_variant(Integer, "sqlite")

# The ledger: one row for each distinct message of a channel. `id` is a digest of channel and body.
# RECEIVED: being handled again after it was delivered before; at rest there is none.
message = Table(
    "message",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("channel", String, nullable=False),
    Column("status", String(11), nullable=False),  # RECEIVED, TRANSFORMED, FILTERED, ERROR
    Column("code", String),
    Column("reason", String),
    Column("warnings", LargeBinary),
    Column("attempts", Integer, nullable=False),
    Column("duplicates", Integer, nullable=False),
    Column("rejections", Integer, nullable=False),
    Column("message_id", String),
    Column("correlation_id", String),
    Column("traceparent", String),
    Column("content_type", String),
    Column("size", Integer, nullable=False),
    Column("received_at", String, nullable=False),
    Column("body", LargeBinary),  # HL7 only, deflated: what a reading error did can be repaired by reading again
    Index("message_by_status", "status"),
    Index("message_by_message_id", "message_id"),
)

# What each HL7 message says about each requested procedure, patient, report and appointment, and the numbers that it is
# found by. Orders are assembled from the order updates.
fact = Table(
    "fact",
    metadata,
    Column("id", _RowId, primary_key=True, autoincrement=True),
    Column("message", String(32), ForeignKey("message.id"), nullable=False),
    Column("kind", String(15), nullable=False),  # order-update, patient-update, identity-change, report, appointment
    Column("doc", LargeBinary, nullable=False),
    Column("doc_version", Integer, nullable=False),
)
fact_key = Table(
    "fact_key",
    metadata,
    Column("value", String, primary_key=True),
    Column("level", String(9), primary_key=True),  # filler, placer, accession, study, patient
    Column("fact", _RowId, ForeignKey("fact.id"), primary_key=True),
    sqlite_with_rowid=False,
)

# "order" is a word of SQL.
imaging_order = Table(
    "imaging_order",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("doc", LargeBinary, nullable=False),
    Column("doc_version", Integer, nullable=False),
)

study = Table(
    "study",
    metadata,
    Column("uid", String, primary_key=True),
    Column("channel", String, nullable=False),
    Column("verdict", String(9), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("doc", LargeBinary, nullable=False),  # the decision
    Column("orders_digest", String(32), nullable=False),  # of the orders as they were last published
    Column("decided_at", String, nullable=False),
    Index("study_by_verdict", "verdict"),
)

# The distinct headers of a study's current objects, as far as linking looks at them, and how many share each.
statement = Table(
    "statement",
    metadata,
    Column("study", String, primary_key=True),
    Column("digest", String(32), primary_key=True),
    Column("doc", LargeBinary, nullable=False),
    Column("instances", Integer, nullable=False),
)
series = Table(
    "series",
    metadata,
    Column("study", String, primary_key=True),
    Column("uid", String, primary_key=True),
    Column("modality", String, primary_key=True),
    Column("instances", Integer, nullable=False),
    Index("series_by_uid", "uid"),
)
instance = Table(
    "instance",
    metadata,
    Column("uid", String, primary_key=True),
    Column("study", String, nullable=False),
    Column("channel", String, nullable=False),
    Column("message", String(32), ForeignKey("message.id"), nullable=False),
    Column("doc", LargeBinary, nullable=False),
    Column("doc_version", Integer, nullable=False),
    Index("instance_by_study", "study"),
)

# Equal keys bring orders and studies together; `rule` is whatever the core calls it.
matching_key = Table(
    "matching_key",
    metadata,
    Column("side", String(5), primary_key=True),  # order, study
    Column("value", String, primary_key=True),
    Column("rule", String, primary_key=True),
    Column("owner", String, primary_key=True),
    sqlite_with_rowid=False,
)

# Each verdict that a study ever had.
history = Table(
    "history",
    metadata,
    Column("study", String, primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("at", String, nullable=False),
    Column("doc", LargeBinary, nullable=False),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", _RowId, primary_key=True, autoincrement=True),
    Column("doc", LargeBinary, nullable=False),
    sqlite_autoincrement=True,
)

counter = Table(
    "counter",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", BigInteger, nullable=False),
)

setting = Table(
    "setting",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", String, nullable=False),
)
