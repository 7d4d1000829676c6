"""The names of all keys, in one place. docs/redis-layout.md describes what stands under each.

Every key begins with the tenant. The part in braces is the hash tag that Redis Cluster places a key by: everything of
one customer shares a shard, everything about models and the catalogue shares ``{meta}``.
"""

import zlib
from datetime import UTC, datetime

LAYOUT_VERSION = 1
"""Changes whenever keys or values change so that older processes could misread them."""

EPOCH = datetime(2025, 1, 1, tzinfo=UTC)
"""Numbers in a Redis that is empty start at the time passed since then.

So a Redis that lost everything never gives a number a second time to something else, which a server process that
outlived the loss would take for what it knows.
"""

SHARD_COUNT = 16
SHARD_TAGS = tuple(f"{{{shard:02x}}}" for shard in range(SHARD_COUNT))


def shard_of(customer_id: str) -> int:
    """Give the shard of a customer, 0 … SHARD_COUNT - 1: CRC-32 of the id's UTF-8, so that it never moves."""
    return zlib.crc32(customer_id.encode()) % SHARD_COUNT


def candidates_prefix(tenant: str, generation: int, shard: int) -> str:
    """Begin the keys of all candidate lists of one shard; the customer id follows."""
    return f"{tenant}:{SHARD_TAGS[shard]}:c:{generation}:"


def candidates_key(tenant: str, generation: int, customer_id: str) -> str:
    """Name the candidate list of a customer."""
    return f"{tenant}:{SHARD_TAGS[shard_of(customer_id)]}:c:{generation}:{customer_id}"


def profile_key(tenant: str, customer_id: str) -> str:
    """Name the profile of a customer."""
    return f"{tenant}:{SHARD_TAGS[shard_of(customer_id)]}:p:{customer_id}"


def record_key(tenant: str, customer_id: str) -> str:
    """Name what the shop stored of a customer."""
    return f"{tenant}:{SHARD_TAGS[shard_of(customer_id)]}:r:{customer_id}"


def counters_key(tenant: str, customer_id: str) -> str:
    """Name the counters for caps of a customer."""
    return f"{tenant}:{SHARD_TAGS[shard_of(customer_id)]}:n:{customer_id}"


def totals_key(tenant: str, shard: int, bucket: str) -> str:
    """Name the counters for caps of all customers of a shard in one bucket."""
    return f"{tenant}:{SHARD_TAGS[shard]}:totals:{bucket}"


def customer_keys(tenant: str, generation: int, customer_id: str) -> tuple[str, str]:
    """Name the candidate list and the profile of a customer."""
    prefix = f"{tenant}:{SHARD_TAGS[shard_of(customer_id)]}:"
    return f"{prefix}c:{generation}:{customer_id}", f"{prefix}p:{customer_id}"


def refresh_keys(tenant: str, generation: int, customer_id: str) -> tuple[str, str, str]:
    """Name the profile of a customer, their candidate list, and that list as it was published."""
    prefix = f"{tenant}:{SHARD_TAGS[shard_of(customer_id)]}:"
    return f"{prefix}p:{customer_id}", f"{prefix}c:{generation}:{customer_id}", f"{prefix}b:{generation}:{customer_id}"


def erased_key(tenant: str, shard: int) -> str:
    """Name the tombstones of a shard."""
    return f"{tenant}:{SHARD_TAGS[shard]}:erased"


def due_key(tenant: str, shard: int) -> str:
    """Name the pushes of a shard by when they are due, or by when their lease ends."""
    return f"{tenant}:{SHARD_TAGS[shard]}:due"


def pushes_key(tenant: str, shard: int) -> str:
    """Name what the pushes of a shard hold that wait or are leased."""
    return f"{tenant}:{SHARD_TAGS[shard]}:pushes"


def marks_key(tenant: str, customer_id: str) -> str:
    """Name what is remembered of the pushes of a customer."""
    return f"{tenant}:{SHARD_TAGS[shard_of(customer_id)]}:u:{customer_id}"


def log_key(tenant: str, shard: int) -> str:
    """Name the event log of a shard."""
    return f"{tenant}:{SHARD_TAGS[shard]}:log"


def dead_key(tenant: str, shard: int) -> str:
    """Name the stream of the log entries of a shard that could not be applied."""
    return f"{tenant}:{SHARD_TAGS[shard]}:dead"


def seen_key(tenant: str, shard: int, event_id: str) -> str:
    """Name the mark that an event was recorded."""
    return f"{tenant}:{SHARD_TAGS[shard]}:seen:{event_id}"


class MetaKeys:
    """Names the keys of one tenant that are about models and the catalogue."""

    def __init__(self, tenant: str) -> None:
        prefix = f"{tenant}:{{meta}}"
        self.prefix = f"{prefix}:".encode()
        self.erasures = f"{prefix}:erasures"
        self.missed = f"{prefix}:missed"
        self.pushing = f"{prefix}:pushing"
        self.layout = f"{prefix}:layout"
        self.settled = f"{prefix}:settled"
        self.pointer = f"{prefix}:generation"
        self.generations = f"{prefix}:generations"
        self.last_generation = f"{prefix}:generation:last"
        self.customers = f"{prefix}:customers"
        self.links = f"{prefix}:links"
        self.links_version = f"{prefix}:links:version"
        self._lease_prefix = f"{prefix}:publisher:"
        self._model_prefix = f"{prefix}:model:"
        self.archive = f"{prefix}:archive"
        self.archiving = f"{prefix}:archive:lease"
        self.catalog_version = f"{prefix}:catalog:version"
        self.catalog_changes = f"{prefix}:catalog:changes"
        self.catalog_changes_bytes = f"{prefix}:catalog:changes:bytes"
        self.placement_versions = f"{prefix}:catalog:placements:versions"
        self._budget_prefix = f"{prefix}:budget:"
        self._catalog_prefix = f"{prefix}:catalog:"

    def lease(self, generation: int) -> str:
        """Name the sign of life of whoever publishes a generation."""
        return f"{self._lease_prefix}{generation}"

    def model_part(self, generation: int, part: int) -> str:
        """Name one part of the item model of a generation."""
        return f"{self._model_prefix}{generation}:{part}"

    def fold_part(self, generation: int, part: int) -> str:
        """Name one part of what a generation's lists are made fresh with."""
        return f"{self._model_prefix}{generation}:fold:{part}"

    def refolding(self, generation: int) -> str:
        """Name the sign of life of whoever makes the lists of a new generation fresh; stays when that is done."""
        return f"{self._model_prefix}{generation}:refolding"

    def reservations(self, offer_id: str) -> str:
        """Name the sorted set of the customers who hold a unit of an offer's budget, by when that ends."""
        return f"{self._budget_prefix}reserved:{offer_id}"

    def redemptions(self, offer_id: str) -> str:
        """Name the set of the events that redeemed a unit of an offer's budget."""
        return f"{self._budget_prefix}redeemed:{offer_id}"

    def catalog_records(self, kind: str) -> str:
        """Name the hash of the catalogue's records of one kind: items, offers, placements, audiences or experiments."""
        return f"{self._catalog_prefix}{kind}"
