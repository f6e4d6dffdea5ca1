"""Alembic's entry point: migrates over the connection that `bridge.store.migrate` hands over."""

from alembic import context

from bridge.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, transaction_per_migration=False
)
with context.begin_transaction():
    context.run_migrations()
