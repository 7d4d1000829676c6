"""Reads the catalogue out of Redis into a file, and back."""

import asyncio
from pathlib import Path

from cli.publishing import RedisTarget, reaching, redis_url_of
from cli.session import Session
from models.catalog import Catalog
from models.errors import PreconditionError
from models.progress import Progress
from service.redis_access import redis_settings
from service.settings import Settings
from service.store.catalog_store import CatalogStore, apply_blocking
from service.store.connection import connect
from service.store.exports import read_catalog, write_catalog


def export_catalog(session: Session, target: RedisTarget, path: Path) -> int:
    """Write the catalogue to ``path`` and give the number of its records."""
    settings = target.settings(session)
    path.parent.mkdir(parents=True, exist_ok=True)
    with redis_url_of(settings) as url:
        catalog = asyncio.run(_load(settings, url))
    if not len(catalog.as_change()):
        raise PreconditionError(
            f"the catalogue in Redis is empty, so {path} was not written: `dangol rebuild` fills it"
        )
    return write_catalog(path, catalog)


async def _load(settings: Settings, url: str) -> Catalog:
    connection = connect(redis_settings(settings, url))
    try:
        return await CatalogStore(connection).load(settings.tenant)
    finally:
        await connection.aclose()


def import_catalog(session: Session, target: RedisTarget, path: Path, progress: Progress) -> int:
    """Store the records of a file and give their number."""
    settings = target.settings(session)
    count = 0
    with reaching(settings) as connection, progress.stage("storing the catalogue", None) as stage:
        for change in read_catalog(path):
            apply_blocking(connection, settings.tenant, change)
            count += len(change)
            stage.advance(len(change))
    return count
