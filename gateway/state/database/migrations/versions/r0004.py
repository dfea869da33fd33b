"""What requests under way have used."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "open_requests",
        sa.Column("replica", sa.Text, nullable=False),
        sa.Column("note", sa.BigInteger, nullable=False),
        sa.Column("entries", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("replica", name="pk_open_requests"),
    )
