"""Who holds a host, robots.txt once a host, and what was told to whom; tenders of a kind by publication;
where portals failed or were back."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"

NAMES = sa.table("tenders", sa.column("buyer_folded"), sa.column("procuring_entity_folded"))
RUNS = sa.table(
    "runs",
    *(sa.column(name) for name in ("id", "portal", "verdict")),
    *(sa.column(name, sa.Boolean) for name in ("broken", "turned")),
)
NAME = sa.String().with_variant(postgresql.VARCHAR(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "leases",
        sa.Column("name", NAME, nullable=False),
        sa.Column("holder", sa.String, nullable=False),
        sa.Column("taken", sa.BigInteger, nullable=False),
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
    _widen_orders()
    _mark_turns()
    for name in NAMES.c:  # as search.fold_name has them: longer ones no index of PostgreSQL holds
        op.execute(sa.update(NAMES).where(sa.func.length(name) > 500).values({name: sa.func.substr(name, 1, 500)}))


def _widen_orders() -> None:
    # PostgreSQL has the highest first and those without a value last only from an index of that very order.
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    highest = [sa.text("amount DESC NULLS LAST"), sa.text("position DESC")] if is_postgresql else ["amount", "position"]
    orders = {"closes": ["closes", "position"], "amount": highest, "changed": ["changed", "position"]}
    for first, columns in orders.items():
        op.drop_index(f"ix_tenders_{first}", "tenders")
        op.create_index(f"ix_tenders_{first}_position_kind_status", "tenders", [*columns, "kind", "status"])


def _mark_turns() -> None:
    """Which runs turned their portal, as run_log.save_run tells it of later ones."""
    op.add_column("runs", sa.Column("turned", sa.Boolean, nullable=False, server_default=sa.false()))
    state = sa.case((RUNS.c.verdict.not_in(["ok", "partial"]), 2), (RUNS.c.broken, 1), else_=0)
    before = sa.func.lag(state, 1, 0).over(partition_by=RUNS.c.portal, order_by=RUNS.c.id)
    marked = sa.select(RUNS.c.id, state.label("state"), before.label("before")).subquery()
    turned = sa.select(marked.c.id).where(marked.c.state != marked.c.before)
    op.execute(sa.update(RUNS).where(RUNS.c.id.in_(turned)).values(turned=True))
    op.create_index("ix_runs_turned_id", "runs", ["turned", "id"])
    op.create_index("ix_runs_finished", "runs", ["finished"])
