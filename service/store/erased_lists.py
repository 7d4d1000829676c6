"""Lists of customers who were erased, told by the digests of their ids."""

import numpy as np

from models.candidates import CandidateTable
from service.store.candidate_codec import digest_of


def erased_among(table: CandidateTable, digests: frozenset[bytes]) -> list[str]:
    """Give the ids of a table that were erased."""
    return [customer_id for customer_id in table.customer_ids if digest_of(customer_id) in digests] if digests else []


def without_erased(table: CandidateTable, digests: frozenset[bytes]) -> CandidateTable:
    """Leave erased customers out of a table."""
    erased = set(erased_among(table, digests))
    return table.only(np.array([name not in erased for name in table.customer_ids], np.bool_)) if erased else table
