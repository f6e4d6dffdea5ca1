"""Time, rejection notes, objects that move, and what people decide."""

from hashlib import sha256

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "deadline",
        sa.Column("study", sa.String(), nullable=False),
        sa.Column("kind", sa.String(length=6), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("message", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("study", "kind"),
    )
    op.create_index("deadline_by_at", "deadline", ["at"], unique=False)
    op.create_table(
        "rejection",
        sa.Column("instance", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("study", sa.String(), nullable=False),
        sa.Column("code", sa.String(length=16), nullable=False),
        sa.PrimaryKeyConstraint("instance", "note"),
    )
    op.create_index("rejection_by_study", "rejection", ["study"], unique=False)
    op.create_table(
        "departure",
        sa.Column("study", sa.String(), nullable=False),
        sa.Column("instance", sa.String(), nullable=False),
        sa.Column("other", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("study", "instance", "other"),
    )
    _let_facts_have_no_message()
    nothing = sa.text(f"(CAST('[]' AS {'BLOB' if op.get_bind().dialect.name == 'sqlite' else 'BYTEA'}))")
    with op.batch_alter_table("study") as study:
        study.add_column(sa.Column("orders", sa.LargeBinary(), nullable=False, server_default=nothing))
        study.add_column(sa.Column("reports", sa.LargeBinary(), nullable=False, server_default=nothing))
        study.add_column(sa.Column("settled", sa.String(length=8), nullable=False, server_default="never"))
        study.add_column(sa.Column("overdue_at", sa.String(), nullable=True))
        study.alter_column("decided_at", new_column_name="since", existing_type=sa.String(), existing_nullable=False)
        study.drop_column("orders_digest")
    _state_the_study_date()


def _let_facts_have_no_message() -> None:
    """Made anew with their keys: SQLite can neither alter a column nor drop a table that another one refers to."""
    op.create_table(
        "fact_anew",
        sa.Column("id", _ROW_ID, autoincrement=True, nullable=False),
        sa.Column("message", sa.String(length=32), nullable=True),
        sa.Column("kind", sa.String(length=15), nullable=False),
        sa.Column("doc", sa.LargeBinary(), nullable=False),
        sa.Column("doc_version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["message"], ["message.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "fact_key_anew",
        sa.Column("value", sa.String(), nullable=False),
        sa.Column("level", sa.String(length=9), nullable=False),
        sa.Column("fact", _ROW_ID, nullable=False),
        sa.ForeignKeyConstraint(["fact"], ["fact_anew.id"]),
        sa.PrimaryKeyConstraint("value", "level", "fact"),
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO fact_anew (id, message, kind, doc, doc_version)"
        " SELECT id, message, kind, doc, doc_version FROM fact"
    )
    op.execute("INSERT INTO fact_key_anew (value, level, fact) SELECT value, level, fact FROM fact_key")
    op.drop_table("fact_key")
    op.drop_table("fact")
    op.rename_table("fact_anew", "fact")
    op.rename_table("fact_key_anew", "fact_key")


def _state_the_study_date() -> None:
    """A statement has a study date now, which is part of what its digest is made of."""
    connection = op.get_bind()
    statement = sa.table("statement", sa.column("study"), sa.column("digest"), sa.column("doc"))
    for row in connection.execute(sa.select(statement)).all():
        doc = bytes(row.doc)[:-1] + b',"studyDate":null}'
        connection.execute(
            sa.update(statement)
            .where(statement.c.study == row.study, statement.c.digest == row.digest)
            .values(doc=doc, digest=sha256(doc).hexdigest()[:32])
        )
