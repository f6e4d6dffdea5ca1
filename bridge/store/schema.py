"""The tables. What a row means stands here; how they came to be, in `migrations`.

Facts are kept as JSON documents of the core's own values (`doc`), each with the `doc_version` it was written in; the
columns are only what is searched for. Nothing here knows a rule of correlation.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    false,
    text,
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
    Column("instance", String),  # of an object: its SOP Instance UID, also where another message's header replaced it
    Index("message_by_status", "status", "received_at"),
    Index("message_by_message_id", "message_id"),
    Index(
        "message_with_body",
        "received_at",
        sqlite_where=text("body IS NOT NULL"),
        postgresql_where=text("body IS NOT NULL"),
    ),
)

# What each HL7 message says about each requested procedure, patient, report and appointment, what people decided, and
# the numbers that it is found by. Orders are assembled from the order updates.
fact = Table(
    "fact",
    metadata,
    Column("id", _RowId, primary_key=True, autoincrement=True),
    Column("message", String(32), ForeignKey("message.id")),  # none where a person decided
    Column("kind", String(15), nullable=False),  # as core.facts calls it
    Column("doc", LargeBinary, nullable=False),
    Column("doc_version", Integer, nullable=False),
    Index("fact_by_message", "message"),
)
fact_key = Table(
    "fact_key",
    metadata,
    Column("value", String, primary_key=True),
    Column("level", String(9), primary_key=True),  # filler, placer, accession, study, patient
    Column("fact", _RowId, ForeignKey("fact.id"), primary_key=True),
    Index("fact_key_by_fact", "fact"),
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
    Column("orders", LargeBinary, nullable=False),  # the linked ones as they were last published
    Column("reports", LargeBinary, nullable=False),  # as they were last published
    Column("since", String, nullable=False),  # when the verdict became what it is
    Column("settled", String(8), nullable=False),  # never, settled, reopened
    Column("overdue_at", String),
    Index("study_by_verdict", "verdict"),
)

# What is left of a study that was purged: when it comes again it goes on with the next revision.
purged_study = Table(
    "purged_study",
    metadata,
    Column("uid", String, primary_key=True),
    Column("revision", Integer, nullable=False),
)

# When a study is due to settle, or to be overdue, in seconds of the clock that runs while the source is connected.
deadline = Table(
    "deadline",
    metadata,
    Column("study", String, primary_key=True),
    Column("kind", String(6), primary_key=True),  # settle, hold
    Column("at", Float, nullable=False),
    Column("message", String(32), nullable=False),  # the last one about the study, which the event is caused by
    Index("deadline_by_at", "at"),
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
    Index("instance_by_message", "message"),
)

# The objects that rejection notes (IHE RAD IOCM) take out of their study, arrived or not.
rejection = Table(
    "rejection",
    metadata,
    Column("instance", String, primary_key=True),
    Column("note", String, primary_key=True),  # SOP Instance UID of the note
    Column("study", String, nullable=False),
    Column("code", String(16), nullable=False),
    Index("rejection_by_study", "study"),
)

# The objects that came again with the header of another study (`other`), or of another patient (`other` is empty).
departure = Table(
    "departure",
    metadata,
    Column("study", String, primary_key=True),
    Column("instance", String, primary_key=True),
    Column("other", String, primary_key=True),
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
    Index("history_by_time", "at", "study"),
)

# Events that the broker has not confirmed yet. One that it `refused` for itself holds back what follows of its study.
outbox = Table(
    "outbox",
    metadata,
    Column("id", _RowId, primary_key=True, autoincrement=True),
    Column("doc", LargeBinary, nullable=False),
    Column("study", String, nullable=False, server_default=""),  # and its destination: `Outbound.lane`
    Column("refused", Boolean, nullable=False, server_default=false()),
    Index("outbox_refused", "study", sqlite_where=text("refused"), postgresql_where=text("refused")),
    sqlite_autoincrement=True,
)

# What one process does for all (`relay`, `deadlines`, `purge`), and who it is; `until` is the database's time.
lease = Table(
    "lease",
    metadata,
    Column("name", String(16), primary_key=True),
    Column("owner", String, nullable=False),
    Column("until", Float, nullable=False),
)

# The processes of the site, when each was last seen, and whether it has handled all that its queues had.
process = Table(
    "process",
    metadata,
    Column("owner", String, primary_key=True),
    Column("seen", Float, nullable=False),
    Column("caught_up", Boolean, nullable=False),
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
