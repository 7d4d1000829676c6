"""Versions and previews of placements ↔ domain."""

from dangol.v1 import catalog_service_pb2, offer_service_pb2
from models.errors import InvalidInputError
from models.offers import Placement
from service.decision.query import Query, SlateQuery
from service.handlers.catalog_messages import placement_message, placements_from
from service.handlers.queries import MAXIMAL_PLACEMENTS
from service.handlers.validation import check, check_ids, count_problem, optional_kebab_problem
from service.store.catalog_store import PlacementVersion

MAXIMAL_PREVIEW_CUSTOMERS = 100
_DEFAULT_SAMPLE = 20


def version_message(version: PlacementVersion) -> catalog_service_pb2.PlacementVersion:
    """Write a version of a placement."""
    message = catalog_service_pb2.PlacementVersion(version=version.version)
    message.store_time.FromDatetime(version.store_time)
    if version.placement is not None:
        message.placement.CopyFrom(placement_message(version.placement))
    return message


def preview_from(request: offer_service_pb2.PreviewPlacementsRequest) -> tuple[list[Placement], int]:
    """Read the placements as they would be, and how many customers to sample. InvalidInputError names the field."""
    check("placements", count_problem(len(request.placements), 1, MAXIMAL_PLACEMENTS))
    check_ids("customer_ids", request.customer_ids, 0, MAXIMAL_PREVIEW_CUSTOMERS)
    check("channel", optional_kebab_problem(request.channel, 32))
    if request.sample_size and request.customer_ids:
        raise InvalidInputError("sample_size", "does not go with customer_ids")
    if request.sample_size < 0:
        raise InvalidInputError("sample_size", "is negative")
    size = min(request.sample_size or _DEFAULT_SAMPLE, MAXIMAL_PREVIEW_CUSTOMERS)
    return placements_from(request.placements), size


def preview_query(placement: Placement, channel: str, now: float) -> Query:
    """Ask for the slate of a placement; the same seed each time, so that only rules make a difference."""
    return Query([SlateQuery(placement, placement.size)], now, channel, seed="preview")
