"""Which version of a manifest an admin answers for: its addresses may be in private networks."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("manifests", sa.Column("admin_version", sa.BigInteger))
    # Of what is there, it is only known of what was applied with the admin token.
    op.execute("UPDATE manifests SET admin_version = version WHERE updated_by = 'user:admin'")
