"""Full text on PostgreSQL, and split alike on SQLite; what purchases came to; visits."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

from aggregator.database import Instant, tender_text
from aggregator.dossiers import Member, compile_record
from aggregator.models import Tender
from aggregator.rows import parse_record, searched_row
from aggregator.search import render_text, searched_texts

revision = "0002"
down_revision = "0001"

SORTED = {
    "tenders": (
        *("portal", "kind", "status", "category", "method", "buyer", "buyer_folded"),
        *("procuring_entity", "procuring_entity_folded"),
    ),
    "runs": ("portal",),
    "snapshots": ("portal", "asked", "segment"),
}
CHUNK = 500

TENDERS = sa.table(
    "tenders",
    *(sa.column(name) for name in ("id", "position", "republished", "merged", "unread", "tender", "awarded")),
    *(sa.column(name, Instant) for name in ("first_seen", "last_seen", "changed", "contracted")),
)
DOSSIERS = sa.table("dossiers", sa.column("leader_id"), sa.column("member_id"))


def upgrade() -> None:
    op.add_column("tenders", sa.Column("awarded", sa.BigInteger))
    op.add_column("tenders", sa.Column("contracted", sa.BigInteger))
    _create_visits()
    if op.get_bind().dialect.name == "sqlite":
        # render_text has split the words already: this tokenizer splits at spaces and leaves all else alone, while
        # unicode61 has its own opinion of letters.
        op.execute("DROP TABLE tender_text")
        op.execute("CREATE VIRTUAL TABLE tender_text USING fts5(text, columnsize = 0, tokenize = 'ascii')")
    else:
        op.create_table(
            "tender_text",
            sa.Column("rowid", sa.BigInteger, autoincrement=False, nullable=False),
            sa.Column("text", TSVECTOR, nullable=False),
            sa.PrimaryKeyConstraint("rowid", name="pk_tender_text"),
        )
        _sort_by_code_points()
    _fill(op.get_bind())
    if op.get_bind().dialect.name == "postgresql":
        op.create_index("ix_tender_text_text", "tender_text", ["text"], postgresql_using="gin")


def _create_visits() -> None:
    op.create_table(
        "visits",
        sa.Column("day", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("reader", sa.String, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("day", "kind", "name", "reader", name="pk_visits"),
    )


def _sort_by_code_points() -> None:
    for table, columns in SORTED.items():
        for column in columns:
            op.alter_column(table, column, type_=sa.String(collation="C"))


def _fill(connection: sa.Connection) -> None:
    """The new columns and the full text of every tender, as its purchase is told by all sources."""
    update = sa.update(TENDERS).where(TENDERS.c.id == sa.bindparam("number"))
    update = update.values(awarded=sa.bindparam("cents"), contracted=sa.bindparam("time", type_=Instant))
    last = 0
    while rows := _find(connection, sa.select(TENDERS).where(TENDERS.c.id > last).order_by(TENDERS.c.id).limit(CHUNK)):
        last = rows[-1]["id"]
        told = [(row, _compile(connection, row)) for row in rows]
        texts = [{"rowid": row["position"], "text": render_text(searched_texts(tender))} for row, tender in told]
        connection.execute(sa.insert(tender_text), texts)
        results = [(row["id"], searched_row(tender)) for row, tender in told if tender.awards or tender.contracts]
        if results:
            values = [{"number": id_, "cents": of["awarded"], "time": of["contracted"]} for id_, of in results]
            connection.execute(update, values)


def _compile(connection: sa.Connection, row: sa.RowMapping) -> Tender:
    members = [row]
    if row["merged"]:
        of_dossier = sa.select(DOSSIERS.c.member_id).where(DOSSIERS.c.leader_id == row["id"])
        members += _find(connection, sa.select(TENDERS).where(TENDERS.c.id.in_(of_dossier)))
    return compile_record([Member(number=each["id"], record=parse_record(each)) for each in members]).tender


def _find(connection: sa.Connection, statement: sa.Select[Any]) -> list[sa.RowMapping]:
    return list(connection.execute(statement).mappings())
