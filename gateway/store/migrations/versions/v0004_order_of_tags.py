"""In which order each customer's tags were written."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the columns. Tags of before have no order of their own: it stays type and value."""
    for name in ("position", "position_before"):
        op.add_column("taggings", sa.Column(name, sa.Integer, nullable=False, server_default="0"))
