"""One place that says which failures mean that Redis cannot be used now."""

import contextlib
from collections.abc import Iterator

from redis.exceptions import RedisClusterException, RedisError

from models.errors import UnavailableError

REDIS_FAULTS = (RedisError, RedisClusterException, OSError)
"""What redis-py raises: its own two trees, and what the socket or a timeout raises (TimeoutError is an OSError)."""


@contextlib.contextmanager
def reaching_redis() -> Iterator[None]:
    """Turn every failure of Redis into UnavailableError; the cause stays chained, its text does not travel."""
    try:
        yield
    except REDIS_FAULTS as error:
        raise unavailable(error) from error


def unavailable(error: BaseException) -> UnavailableError:
    """Give the error that callers see in place of one from Redis."""
    return UnavailableError(f"Redis cannot be used now ({type(error).__name__})")
