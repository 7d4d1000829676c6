"""Who the customers of a run are: erased ones are left out, linked ones are one."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import duckdb

from models.erasures import ErasureList, recognises
from models.registry import Registry


@dataclass(frozen=True, slots=True)
class People:
    """Says what is known of customers: the SHA-256 of erased ids, and as which id others are learned."""

    erased: frozenset[str] = frozenset()
    first_ids: Mapping[str, str] = field(default_factory=dict)

    def apply(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Leave erased customers out of the table ``raw``, and let linked ones be one."""
        if self.erased:
            connection.execute(
                "CREATE TEMP TABLE erased AS SELECT unnest(?::VARCHAR[]) AS sha256", [sorted(self.erased)]
            )
            connection.execute("DELETE FROM raw WHERE sha256(customer) IN (SELECT sha256 FROM erased)")
        if self.first_ids:
            columns = [list(self.first_ids), list(self.first_ids.values())]
            connection.execute(
                "CREATE TEMP TABLE linked AS SELECT unnest(?::VARCHAR[]) AS id, unnest(?::VARCHAR[]) AS first", columns
            )
            connection.execute("UPDATE raw SET customer = linked.first FROM linked WHERE raw.customer = linked.id")


NOBODY = People()
"""Says nothing of anybody."""


def people_of(registry: Registry, first_ids: Mapping[str, str] | None = None) -> People:
    """Leave out whoever the registry's list of erasures recognises; ``first_ids`` as in :class:`People`."""
    return People(recognises(ErasureList(registry.root).all()), first_ids or {})
