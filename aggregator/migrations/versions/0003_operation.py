"""Who holds a host, robots.txt once a host, and what was told to whom; tenders of a kind by publication."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"

NAME = sa.String().with_variant(postgresql.VARCHAR(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "leases",
        sa.Column("name", NAME, nullable=False),
        sa.Column("holder", sa.String, nullable=False),
        sa.Column("beat", sa.BigInteger, nullable=False),
        sa.Column("asked", sa.BigInteger),
        sa.PrimaryKeyConstraint("name", name="pk_leases"),
    )
    op.create_table(
        "robots",
        sa.Column("host", NAME, nullable=False),
        sa.Column("fetched", sa.BigInteger, nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("host", name="pk_robots"),
    )
    op.create_table(
        "notices",
        sa.Column("channel", NAME, nullable=False),
        sa.Column("entry", NAME, nullable=False),
        sa.Column("noted", sa.BigInteger, nullable=False),
        sa.Column("sent", sa.BigInteger),
        sa.PrimaryKeyConstraint("channel", "entry", name="pk_notices"),
    )
    op.create_index("ix_tenders_kind_position", "tenders", ["kind", "position"])
