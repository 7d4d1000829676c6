"""Where Redis is; apart from how it is spoken to, so that a supervisor starts without loading the store."""

import contextlib
from collections.abc import Iterator

from service.settings import Settings
from service.store.embedded import EmbeddedRedis


@contextlib.contextmanager
def redis_url(settings: Settings) -> Iterator[str]:
    """Give the URL of Redis; the private one, where none is named, runs as long as the context."""
    if settings.redis_url:
        yield settings.redis_url
    else:
        with EmbeddedRedis(settings.home / "redis") as embedded:
            yield embedded.url
