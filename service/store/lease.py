"""Lets one of several processes do what needs no two, for as long as it lives. Correctness must not rest on it."""

from service.store.connection import SyncConnection
from service.store.faults import reaching_redis

_CLOSED = b"done"


class Lease:
    """Is held by one owner at a time, who has to take it again within ``seconds``.

    Failures of Redis are UnavailableError throughout.
    """

    def __init__(self, connection: SyncConnection, key: str, owner: str, seconds: float) -> None:
        self._client = connection.client
        self._key = key
        self._owner = owner
        self._milliseconds = int(seconds * 1_000)

    def take(self) -> bool:
        """Take the lease, or keep it; False while somebody else holds it."""
        with reaching_redis():
            taken = self._client.execute_command("SET", self._key, self._owner, "NX", "PX", self._milliseconds)
            if taken is not None:
                return True
            if self._client.execute_command("GET", self._key) != self._owner.encode():
                return False
            self._client.execute_command("PEXPIRE", self._key, self._milliseconds)
        return True

    def is_closed(self) -> bool:
        """Tell whether somebody said that nobody need do it again."""
        with reaching_redis():
            return bool(self._client.execute_command("GET", self._key) == _CLOSED)

    def close(self) -> None:
        """Keep the lease for good: what it was for is done, and nobody need do it again."""
        with reaching_redis():
            self._client.execute_command("SET", self._key, _CLOSED)
