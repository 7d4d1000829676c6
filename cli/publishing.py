"""What the commands that write to Redis share: which Redis, and the publisher's calls."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cli.interrupts import uninterrupted
from cli.session import Session
from models.progress import Progress
from service import publisher
from service.redis_access import event_log_settings, redis_settings
from service.settings import Settings, read_settings
from service.store.archive import Archive
from service.store.connection import SyncConnection, connect_blocking
from service.store.embedded import EmbeddedRedis
from service.store.generation_record import GenerationRecord
from service.store.generation_store import GenerationStore

BULK_TIMEOUT = 30.0
"""Seconds for a command of a bulk job: a pipeline of thousands of writes may take its time."""


@dataclass(frozen=True, slots=True)
class RedisTarget:
    """Says which Redis and which shop in it a command means; what is empty comes from the environment."""

    redis_url: str = ""
    tenant: str = ""

    def settings(self, session: Session) -> Settings:
        """Read the settings with these on top."""
        given = {"redis_url": self.redis_url, "tenant": self.tenant}
        return read_settings(home=session.home, **{name: value for name, value in given.items() if value})


@contextmanager
def private_redis(home: Path) -> Iterator[str]:
    """Give the URL of the private Redis of a home; it runs as long as the context, unless others use it too."""
    with ExitStack() as stack:
        with uninterrupted():
            embedded = stack.enter_context(EmbeddedRedis(home / "redis"))
        yield embedded.url


@contextmanager
def redis_url_of(settings: Settings) -> Iterator[str]:
    """Give the URL of the Redis that the settings mean, which may be the private one."""
    if settings.redis_url:
        yield settings.redis_url
        return
    with private_redis(settings.home) as url:
        yield url


@contextmanager
def reaching(settings: Settings) -> Iterator[SyncConnection]:
    """Connect to the Redis that the settings mean."""
    with (
        redis_url_of(settings) as url,
        connect_blocking(redis_settings(settings, url), timeout=BULK_TIMEOUT) as connection,
    ):
        yield connection


def publish(session: Session, target: RedisTarget, version: str | None, progress: Progress) -> GenerationRecord:
    """Bring a model into Redis and make it the one that is served."""
    settings = target.settings(session)
    with reaching(settings) as connection:
        return publisher.publish(session.registry(), version, GenerationStore(connection), settings.tenant, progress)


def roll_back(session: Session, target: RedisTarget, progress: Progress) -> GenerationRecord:
    """Serve what was served before."""
    settings = target.settings(session)
    registry = session.registry()
    with reaching(settings) as connection:
        return publisher.roll_back(registry, GenerationStore(connection), settings.tenant, progress)


def hold(session: Session, target: RedisTarget, version: str | None, progress: Progress) -> GenerationRecord:
    """Keep a model in Redis beside the one that is served."""
    settings = target.settings(session)
    with reaching(settings) as connection:
        return publisher.hold(session.registry(), version, GenerationStore(connection), settings.tenant, progress)


def release(session: Session, target: RedisTarget, version: str, progress: Progress) -> GenerationRecord:
    """Let a model that is held expire."""
    settings = target.settings(session)
    with reaching(settings) as connection:
        return publisher.release(version, GenerationStore(connection), settings.tenant, progress)


def generations(session: Session, target: RedisTarget) -> list[GenerationRecord]:
    """Give what Redis knows of generations, newest first."""
    settings = target.settings(session)
    with reaching(settings) as connection:
        return GenerationStore(connection).overview(settings.tenant).records


def rebuild(
    session: Session,
    target: RedisTarget,
    catalog_file: Path | None,
    events_file: Path | None,
    customers_file: Path | None,
    progress: Progress,
) -> publisher.Rebuilt:
    """Fill an emptied Redis from files."""
    settings = target.settings(session)
    with reaching(settings) as connection:
        return publisher.rebuild(
            session.registry(),
            GenerationStore(connection),
            settings.tenant,
            progress,
            catalog_file=catalog_file,
            archive=Archive(settings.archive_location),
            events_file=events_file,
            customers_file=customers_file,
            event_settings=event_log_settings(settings),
        )
