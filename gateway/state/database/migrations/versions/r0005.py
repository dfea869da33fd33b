"""What callers have made at one account: files, uploads, batches, responses."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "objects",
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("provider_id", sa.Text, nullable=False),
        sa.Column("target", sa.Text),
        sa.Column("data", sa.LargeBinary),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("expires_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("kind", "id", name="pk_objects"),
    )
    op.create_index("ix_objects_expires_at", "objects", ["expires_at"])
    op.create_index("ix_objects_kind_owner_created_at", "objects", ["kind", "owner", "created_at"])
    op.create_index("ix_objects_kind_created_at", "objects", ["kind", "created_at"])
    op.create_index("ix_objects_kind_account_provider_id", "objects", ["kind", "account", "provider_id"])
