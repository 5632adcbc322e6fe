"""Who holds a host, robots.txt once a host, and what was told to whom; tenders of a kind by publication."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"

NAMES = sa.table("tenders", sa.column("buyer_folded"), sa.column("procuring_entity_folded"))
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
        "channels",
        sa.Column("channel", NAME, nullable=False),
        sa.Column("about", sa.String, nullable=False),
        sa.Column("caught_up", sa.BigInteger, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("retry_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("channel", name="pk_channels"),
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
    for name in NAMES.c:  # as search.fold_name has them: longer ones no index of PostgreSQL holds
        op.execute(sa.update(NAMES).where(sa.func.length(name) > 500).values({name: sa.func.substr(name, 1, 500)}))
