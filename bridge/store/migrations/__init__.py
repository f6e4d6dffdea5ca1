"""Alembic migrations, run by `bridge migrate`; `bridge run` brings an empty SQLite file up by itself."""
