"""Some customers of a generation, to try things out on."""

from itertools import islice

from service.store.connection import SyncConnection
from service.store.faults import reaching_redis
from service.store.scan import scan

_STEPS = 200
"""How many steps of a scan, a thousand keys each, look for customers: a Redis may hold mostly other things."""


def sample_customers(connection: SyncConnection, tenant: str, generation: int, count: int) -> list[str]:
    """Give up to ``count`` customers that have a list in a generation; UnavailableError.

    Redis' tables are ordered by hash, so that what a scan comes upon first has nothing to do with who a customer is.
    """
    found: list[str] = []
    with reaching_redis():
        for names in islice(scan(connection, f"{tenant}:{{*}}:c:{generation}:*"), _STEPS):
            found += (name.decode().split(":", 4)[4] for name in names)
            if len(found) >= count:
                break
    return found[:count]
