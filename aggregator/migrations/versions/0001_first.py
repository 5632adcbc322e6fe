"""Tenders, dossiers, releases, runs, listings, the archive's index, and full text where the database is SQLite."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")  # SQLite's INTEGER primary key needs no second index


def upgrade() -> None:
    _create_tenders()
    _create_dossiers()
    _create_releases()
    _create_runs()
    _create_listings()
    _create_snapshots()
    if op.get_bind().dialect.name == "sqlite":
        # Texts arrive folded, so the tokenizer only has to split them; columnsize would serve ranking, and there
        # is none. rowid is tenders.position.
        op.execute(
            "CREATE VIRTUAL TABLE tender_text USING fts5(text, columnsize = 0, "
            "tokenize = 'unicode61 remove_diacritics 0')"
        )


def _create_tenders() -> None:
    op.create_table(
        "tenders",
        sa.Column("id", NUMBER, autoincrement=False, nullable=False),
        sa.Column("portal", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("key", sa.String, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("status", sa.String),
        sa.Column("category", sa.String),
        sa.Column("method", sa.String),
        sa.Column("buyer", sa.String),
        sa.Column("buyer_folded", sa.String),
        sa.Column("procuring_entity", sa.String),
        sa.Column("procuring_entity_folded", sa.String),
        sa.Column("locations_folded", sa.Text, nullable=False),
        sa.Column("years", sa.String, nullable=False),
        sa.Column("amount", sa.BigInteger),
        sa.Column("closes", sa.BigInteger),
        sa.Column("retender", sa.Boolean, nullable=False),
        sa.Column("republished", sa.Boolean, nullable=False),
        sa.Column("shown", sa.Boolean, nullable=False),
        sa.Column("merged", sa.Boolean, nullable=False),
        sa.Column("first_seen", sa.BigInteger, nullable=False),
        sa.Column("last_seen", sa.BigInteger, nullable=False),
        sa.Column("last_read", sa.BigInteger, nullable=False),
        sa.Column("changed", sa.BigInteger, nullable=False),
        sa.Column("row", sa.LargeBinary),
        sa.Column("home", sa.LargeBinary),
        sa.Column("schedule_read", sa.BigInteger),
        sa.Column("retry_at", sa.BigInteger),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("unread", sa.String, nullable=False),
        sa.Column("tender", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tenders"),
        sa.UniqueConstraint("position", name="uq_tenders_position"),
        sa.UniqueConstraint("portal", "kind", "key", name="uq_tenders_portal_kind_key"),
    )
    for columns in (
        ["portal", "position"],
        ["status", "position"],
        ["buyer_folded", "position"],
        ["procuring_entity_folded", "position"],
        ["closes"],
        ["amount"],
        ["changed"],
        ["key"],
    ):
        op.create_index(f"ix_tenders_{'_'.join(columns)}", "tenders", columns)


def _create_dossiers() -> None:
    op.create_table(
        "dossiers",
        sa.Column("leader_id", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("member_id", sa.BigInteger, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("leader_id", "member_id", name="pk_dossiers"),
        sa.ForeignKeyConstraint(["leader_id"], ["tenders.id"], name="fk_dossiers_leader_id"),
        sa.ForeignKeyConstraint(["member_id"], ["tenders.id"], name="fk_dossiers_member_id"),
    )
    op.create_index("ix_dossiers_member_id", "dossiers", ["member_id"])
    op.create_table(
        "plan_codes",
        sa.Column("code", sa.String, nullable=False),
        sa.Column("tender_id", sa.BigInteger, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("code", "tender_id", name="pk_plan_codes"),
        sa.ForeignKeyConstraint(["tender_id"], ["tenders.id"], name="fk_plan_codes_tender_id"),
    )
    op.create_index("ix_plan_codes_tender_id", "plan_codes", ["tender_id"])


def _create_releases() -> None:
    op.create_table(
        "releases",
        sa.Column("seq", NUMBER, autoincrement=False, nullable=False),
        sa.Column("tender_id", sa.BigInteger, nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("tags", sa.String, nullable=False),
        sa.Column("events", sa.String, nullable=False),
        sa.Column("changes", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_releases"),
        sa.ForeignKeyConstraint(["tender_id"], ["tenders.id"], name="fk_releases_tender_id"),
    )
    op.create_index("ix_releases_tender_id_seq", "releases", ["tender_id", "seq"])
    op.create_index("ix_releases_time", "releases", ["time"])


def _create_runs() -> None:
    counts = ("requests", "seen", "new", "changed", "unchanged", "withdrawn", "errors")
    op.create_table(
        "runs",
        sa.Column("id", NUMBER, autoincrement=False, nullable=False),
        sa.Column("portal", sa.String, nullable=False),
        sa.Column("sweep", sa.String, nullable=False),
        sa.Column("started", sa.BigInteger, nullable=False),
        sa.Column("finished", sa.BigInteger, nullable=False),
        sa.Column("verdict", sa.String, nullable=False),
        sa.Column("narrowed", sa.Boolean, nullable=False),
        sa.Column("broken", sa.Boolean, nullable=False),
        sa.Column("reasons", sa.Text, nullable=False),
        *(sa.Column(count, sa.Integer, nullable=False) for count in counts),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
    )
    op.create_index("ix_runs_portal_id", "runs", ["portal", "id"])


def _create_listings() -> None:
    op.create_table(
        "listings",
        sa.Column("portal", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("year", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("read", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("portal", "kind", "year", name="pk_listings"),
    )
    op.create_table(
        "listed",
        sa.Column("portal", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("key", sa.String, nullable=False),
        sa.Column("year", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("missed", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("portal", "kind", "key", "year", name="pk_listed"),
    )
    op.create_index("ix_listed_portal_kind_year", "listed", ["portal", "kind", "year"])


def _create_snapshots() -> None:
    op.create_table(
        "snapshots",
        sa.Column("id", NUMBER, autoincrement=False, nullable=False),
        sa.Column("portal", sa.String, nullable=False),
        sa.Column("run", sa.BigInteger, nullable=False),
        sa.Column("asked", sa.String, nullable=False),
        sa.Column("method", sa.String, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("request_hash", sa.LargeBinary, nullable=False),
        sa.Column("fetched", sa.BigInteger, nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("headers", sa.String, nullable=False),
        sa.Column("body_hash", sa.LargeBinary, nullable=False),
        sa.Column("segment", sa.String, nullable=False),
        sa.Column("start", sa.BigInteger, nullable=False),
        sa.Column("frame", sa.BigInteger, nullable=False),
        sa.Column("stop", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_snapshots"),
        sa.UniqueConstraint("segment", "start", name="uq_snapshots_segment_start"),
    )
    op.create_index("ix_snapshots_portal_run", "snapshots", ["portal", "run"])
    op.create_index("ix_snapshots_body_hash", "snapshots", ["body_hash"])
