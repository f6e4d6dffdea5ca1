"""Order updates become facts, of which there are other kinds: patients, changes of identity, reports, appointments."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "fact",
        sa.Column("id", _ROW_ID, autoincrement=True, nullable=False),
        sa.Column("message", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=15), nullable=False),
        sa.Column("doc", sa.LargeBinary(), nullable=False),
        sa.Column("doc_version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["message"], ["message.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "fact_key",
        sa.Column("value", sa.String(), nullable=False),
        sa.Column("level", sa.String(length=9), nullable=False),
        sa.Column("fact", _ROW_ID, nullable=False),
        sa.ForeignKeyConstraint(["fact"], ["fact.id"]),
        sa.PrimaryKeyConstraint("value", "level", "fact"),
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO fact (id, message, kind, doc, doc_version)"
        " SELECT id, message, 'order-update', doc, doc_version FROM order_update"
    )
    op.execute("INSERT INTO fact_key (value, level, fact) SELECT value, level, order_update FROM order_update_key")
    op.drop_table("order_update_key")
    op.drop_table("order_update")
