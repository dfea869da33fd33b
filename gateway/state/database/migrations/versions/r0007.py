"""Pictures that are paid for one by one."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("usage_days", sa.Column("images", sa.BigInteger, nullable=False, server_default="0"))
