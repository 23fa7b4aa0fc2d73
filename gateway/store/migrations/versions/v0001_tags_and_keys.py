"""What write-only providers were told, and idempotency keys."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
STATE = sa.Enum(
    "CONFIRMED",
    "PENDING",
    "UNCONFIRMED",
    name="assignmentstate",
    native_enum=False,
    length=16,
)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "tagged_customers",
        sa.Column("provider", NAME, primary_key=True),
        sa.Column("customer", NAME, primary_key=True),
        sa.Column("state", STATE, nullable=False),
        sa.Column("write", NAME, nullable=False),
        sa.Column("claim", NAME),
        sa.Column("due_at", sa.BigInteger),
        sa.Column("attempts", sa.SmallInteger, nullable=False),
        sa.Column("confirmed_at", sa.BigInteger),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "tagged_customers_due",
        "tagged_customers",
        ["provider", "due_at"],
        sqlite_where=sa.text("due_at IS NOT NULL"),
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    op.create_table(
        "taggings",
        sa.Column("provider", NAME, primary_key=True),
        sa.Column("customer", NAME, primary_key=True),
        sa.Column("type", NAME, primary_key=True),
        sa.Column("value", NAME, primary_key=True),
        sa.Column("was", sa.Boolean, nullable=False),
        sa.Column("wanted", sa.Boolean, nullable=False),
        sa.Column("wanted_before", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("taggings_by_tag", "taggings", ["provider", "type", "value", "customer"])
    op.create_table(
        "tags",
        sa.Column("provider", NAME, primary_key=True),
        sa.Column("type", NAME, primary_key=True),
        sa.Column("value", NAME, primary_key=True),
        sa.Column("members", sa.Integer, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "tag_totals",
        sa.Column("provider", NAME, primary_key=True),
        sa.Column("customers", sa.Integer, nullable=False),
        sa.Column("tags", sa.Integer, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("key", NAME, primary_key=True),
        sa.Column("digest", NAME, nullable=False),
        sa.Column("claim", NAME, nullable=False),
        sa.Column("claimed_until", sa.BigInteger, nullable=False),
        sa.Column("answer", sa.LargeBinary),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
    op.create_index("idempotency_keys_expired", "idempotency_keys", ["expires_at"])
