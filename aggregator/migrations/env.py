"""Runs migrations on the connection that ``database.open_database`` hands over, inside its transaction."""

from alembic import context

from aggregator.database import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,  # SQLite has it, once sqlite3's own late BEGIN is switched off
)
context.run_migrations()
