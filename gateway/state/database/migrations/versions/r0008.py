"""Whose a batch is, and batches at providers that are not billed yet."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("batch_runs", sa.Column("owner", sa.Text, nullable=False, server_default=sa.text("''")))
    op.execute(
        "UPDATE batch_runs SET owner = COALESCE((SELECT owner FROM objects WHERE kind = 'batch' AND objects.id = "
        "batch_runs.id), '')"
    )
    op.create_index("ix_batch_runs_owner_leased_until", "batch_runs", ["owner", "leased_until"])
    op.create_table(
        "batch_watches",
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("provider_id", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("due_at", sa.Double, nullable=False),
        sa.Column("leased_by", sa.Text),
        sa.Column("leased_until", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("account", "provider_id", name="pk_batch_watches"),
    )
    op.create_index("ix_batch_watches_due_at", "batch_watches", ["due_at"])
