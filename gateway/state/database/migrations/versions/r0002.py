"""The ledger: requests and what they cost, totals of budgets, usage by day, and alerts to be sent."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

AMOUNTS = (
    "input",
    "cache_read",
    "cache_write",
    "cache_write_1h",
    "audio_input",
    "image_input",
    "output",
    "reasoning",
    "audio_output",
    "image_output",
    "citation",
    "characters",
    "audio_seconds",
    "pages",
    "annotated_pages",
    "searches",
)


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "ledger",
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("teams", sa.Text, nullable=False),
        sa.Column("token_id", sa.Text),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("resolved_model", sa.Text),
        sa.Column("metadata", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("usage", sa.Text),
        sa.Column("cost", sa.BigInteger),
        sa.Column("price_row", sa.Text),
        sa.Column("price_version", sa.Text),
        sa.Column("bill", sa.Text),
        sa.PrimaryKeyConstraint("request_id", name="pk_ledger"),
    )
    op.create_index("ix_ledger_at", "ledger", ["at"])
    op.create_table(
        "totals",
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("begins", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("ends", sa.BigInteger, nullable=False),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("unit", sa.Text, nullable=False),
        sa.Column("window", sa.Text, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("key", "begins", name="pk_totals"),
    )
    op.create_index("ix_totals_ends", "totals", ["ends"])
    op.create_index("ix_totals_rule_begins", "totals", ["rule", "begins"])
    op.create_table(
        "usage_days",
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("resolved_model", sa.Text, nullable=False),
        sa.Column("is_team", sa.Boolean, nullable=False),
        sa.Column("requests", sa.BigInteger, nullable=False),
        sa.Column("unpriced", sa.BigInteger, nullable=False),
        sa.Column("cost", sa.BigInteger, nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in AMOUNTS),
        sa.PrimaryKeyConstraint("day", "who", "model", "resolved_model", name="pk_usage_days"),
    )
    op.create_table(
        "outbox",
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("begins", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("threshold", sa.Double, nullable=False),
        sa.Column("alert", sa.Text, nullable=False),
        sa.Column("targets", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("due_at", moment),
        sa.Column("attempts", sa.BigInteger, nullable=False),
        sa.Column("problem", sa.Text),
        sa.PrimaryKeyConstraint("key", "begins", "threshold", name="pk_outbox"),
    )
    op.create_index("ix_outbox_due_at", "outbox", ["due_at"])
