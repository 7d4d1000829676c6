"""Log entries that no worker could apply: kept with the reason until somebody looks at them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from models.errors import InvalidInputError, NotFoundError
from service.store import keys
from service.store.connection import SyncConnection
from service.store.faults import reaching_redis
from service.store.functions import REPLAY, FunctionCall, call_blocking

_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Is an entry that was set aside.

    ``name`` is ``<shard>/<id>``; ``entry_id`` is where it stood in the log, ``content`` the bytes of its event.
    """

    name: str
    entry_id: str
    reason: str
    content: bytes


def dead_letters(connection: SyncConnection, tenant: str) -> Iterator[DeadLetter]:
    """Give what was set aside, shard by shard, oldest first."""
    for shard in range(keys.SHARD_COUNT):
        after = "-"
        while True:
            with reaching_redis():
                page = connection.client.execute_command(
                    "XRANGE", keys.dead_key(tenant, shard), after, "+", "COUNT", _PAGE
                )
            for dead_id, fields in page:
                name, entry_id = f"{shard:02x}/{dead_id.decode()}", fields[b"entry"].decode()
                yield DeadLetter(name, entry_id, fields[b"reason"].decode(), fields[b"event"])
            if len(page) < _PAGE:
                break
            after = "(" + page[-1][0].decode()


def replay(connection: SyncConnection, tenant: str, names: Sequence[str]) -> int:
    """Append dead letters to the log again, each once, and give their number. NotFoundError when one is not there."""
    for name in names:
        shard, dead_id = _place_of(name)
        call = FunctionCall(REPLAY, (keys.log_key(tenant, shard), keys.dead_key(tenant, shard)), (dead_id,))
        with reaching_redis():
            if call_blocking(connection, call) == 0:
                raise NotFoundError(f"there is no dead letter {name}")
    return len(names)


def remove(connection: SyncConnection, tenant: str, names: Sequence[str]) -> int:
    """Throw dead letters away for good, and give their number. NotFoundError when one is not there."""
    for name in names:
        shard, dead_id = _place_of(name)
        with reaching_redis():
            if connection.client.execute_command("XDEL", keys.dead_key(tenant, shard), dead_id) == 0:
                raise NotFoundError(f"there is no dead letter {name}")
    return len(names)


def _place_of(name: str) -> tuple[int, str]:
    shard, separator, dead_id = name.partition("/")
    try:
        number = int(shard, 16)
    except ValueError:
        number = -1
    if not separator or not 0 <= number < keys.SHARD_COUNT or not dead_id.replace("-", "").isdecimal():
        raise InvalidInputError("name", f"{name!r} does not name a dead letter: `dangol events dead list` does")
    return number, dead_id
