"""Webhooks: a row for each event and client, and the old secret while a client changes over."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("sub", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_code", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_deliveries")),
    )
    for columns in (
        ["state", "due_at"],
        ["client_id", "state", "due_at"],
        ["sub", "state"],
        ["state", "created_at"],
    ):
        name = op.f("ix_webhook_deliveries_" + "_".join(columns))
        op.create_index(name, "webhook_deliveries", columns, unique=False)

    op.add_column("credentials", sa.Column("old_webhook_secret", sa.LargeBinary(), nullable=True))
    op.add_column(
        "credentials", sa.Column("old_webhook_until", sa.DateTime(timezone=True), nullable=True)
    )
    op.create_index(
        op.f("ix_credentials_old_webhook_until"), "credentials", ["old_webhook_until"], unique=False
    )


def downgrade() -> None:
    # Deliveries that still wait would be lost, and with them what a client was promised.
    raise NotImplementedError("restore a backup instead")
