"""Alembic's door. Always called with an open connection.

By `agegate migrate`, the tests and `make migration`.
"""

from __future__ import annotations

from alembic import context

from agegate.adapters.db.tables import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    compare_type=True,
    transaction_per_migration=True,
    render_as_batch=connection.dialect.name == "sqlite",
)
if connection.dialect.name == "postgresql":
    # A migration that can't get its lock soon must not stop the service behind it.
    connection.exec_driver_sql("SET lock_timeout = '3s'")
    connection.exec_driver_sql("SET statement_timeout = '60s'")
    connection.commit()
with context.begin_transaction():
    context.run_migrations()
