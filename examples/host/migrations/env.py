"""The bureau's Alembic environment. Faregate's own history runs beside it, in its own schema."""

import os

from alembic import context
from sqlalchemy import Connection, pool
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel import SQLModel

import bureau.models  # noqa: F401  fills the metadata
from faregate.alembic import include_name, upgrade_on


def migrate(connection: Connection) -> None:
    """Run the bureau's migrations, then Faregate's, in one transaction."""
    context.configure(
        connection=connection, target_metadata=SQLModel.metadata, include_schemas=True, include_name=include_name
    )
    with context.begin_transaction():
        context.run_migrations()
    upgrade_on(connection)


async def main() -> None:
    """Migrate the database of `FAREGATE_DATABASE_URL`."""
    url = os.environ["FAREGATE_DATABASE_URL"].replace("postgresql://", "postgresql+asyncpg://", 1)
    engine = create_async_engine(url, poolclass=pool.NullPool)
    async with engine.begin() as connection:
        await connection.run_sync(migrate)
    await engine.dispose()


if __name__ != "__main__":
    import asyncio

    asyncio.run(main())
