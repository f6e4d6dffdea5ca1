"""Several processes on one database, keys of any length, and events that the broker refuses."""

from hashlib import sha256

import msgspec
import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_LONGEST_KEY = 250


def upgrade() -> None:
    op.create_table(
        "lease",
        sa.Column("name", sa.String(length=16), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("until", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "process",
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("seen", sa.Float(), nullable=False),
        sa.Column("caught_up", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("owner"),
    )
    with op.batch_alter_table("outbox", recreate="never") as outbox:
        outbox.add_column(sa.Column("study", sa.String(), nullable=False, server_default=""))
        outbox.add_column(sa.Column("refused", sa.Boolean(), nullable=False, server_default=sa.false()))
    refused = sa.text("refused")
    op.create_index("outbox_refused", "outbox", ["study"], sqlite_where=refused, postgresql_where=refused)
    _name_the_studies()
    for table in ("fact_key", "matching_key"):
        _shorten_keys(table)
    _let_rows_be_purged()


def _name_the_studies() -> None:
    connection = op.get_bind()
    outbox = sa.table("outbox", sa.column("id"), sa.column("doc"), sa.column("study"))
    for row in connection.execute(sa.select(outbox.c.id, outbox.c.doc)).all():
        study = msgspec.json.decode(row.doc)["headers"].get("partitionkey", "")
        connection.execute(sa.update(outbox).where(outbox.c.id == row.id).values(study=study))


def _shorten_keys(name: str) -> None:
    """A longer key is stored as its beginning and its digest."""
    connection = op.get_bind()
    table = sa.table(name, sa.column("value"))
    query = sa.select(table.c.value).where(sa.func.length(table.c.value) > _LONGEST_KEY).distinct()
    for value in connection.execute(query).scalars().all():
        short = f"{value[:_LONGEST_KEY]}#{sha256(value.encode()).hexdigest()}"
        connection.execute(sa.update(table).where(table.c.value == value).values(value=short))


def _let_rows_be_purged() -> None:
    """What is left of a purged study, what is purged by, and what foreign keys are checked by."""
    op.create_table(
        "purged_study",
        sa.Column("uid", sa.String(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("uid"),
    )
    with op.batch_alter_table("message", recreate="never") as message:
        message.add_column(sa.Column("instance", sa.String(), nullable=True))
    op.create_index("fact_by_message", "fact", ["message"])
    op.create_index("instance_by_message", "instance", ["message"])
    op.execute(
        "UPDATE message SET instance = (SELECT min(instance.uid) FROM instance WHERE instance.message = message.id)"
    )
    op.drop_index("message_by_status", "message")
    op.create_index("message_by_status", "message", ["status", "received_at"])
    kept = sa.text("body IS NOT NULL")
    op.create_index("message_with_body", "message", ["received_at"], sqlite_where=kept, postgresql_where=kept)
    op.create_index("fact_key_by_fact", "fact_key", ["fact"])
    op.create_index("history_by_time", "history", ["at", "study"])
