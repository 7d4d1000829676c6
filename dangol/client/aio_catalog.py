"""The asyncio calls about items, offers, placements, audiences, experiments and triggers."""

from collections.abc import AsyncIterator, Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from dangol.client.calls import AsyncCalls
from dangol.v1 import catalog_service_pb2 as messages
from dangol.v1.catalog_pb2 import Audience, Experiment, Item, Offer, Placement, Trigger
from dangol.v1.catalog_service_pb2 import PlacementVersion
from dangol.v1.catalog_service_pb2_grpc import CatalogServiceStub

if TYPE_CHECKING:
    from dangol.v1.catalog_service_pb2_grpc import CatalogServiceAsyncStub


class AsyncCatalogCalls(AsyncCalls):
    """Speaks to CatalogService.

    Each call takes 1 to 10,000 things, stores all or none of them and gives the catalogue version from which on the
    change is in force. The lists fetch ``page_size`` things (0: the server's default) at a time while they are read.
    Every method may raise :class:`dangol.client.ClientError`.
    """

    @cached_property
    def _catalog(self) -> "CatalogServiceAsyncStub":
        return CatalogServiceStub(self._channel)

    async def upsert_items(self, items: Iterable[Item], *, timeout: float | None = None) -> int:
        """Store items; each replaces what had the same id."""
        request = messages.UpsertItemsRequest(items=items)
        return (await self._write(self._catalog.UpsertItems, request, timeout)).catalog_version

    async def list_items(self, *, page_size: int = 0, timeout: float | None = None) -> AsyncIterator[Item]:
        """List items by id; ``timeout`` holds for each page."""
        token = ""
        while True:
            request = messages.ListItemsRequest(page_size=page_size, page_token=token)
            page = await self._write(self._catalog.ListItems, request, timeout)
            for one in page.items:
                yield one
            token = page.next_page_token
            if not token:
                return

    async def delete_items(self, item_ids: Sequence[str], *, timeout: float | None = None) -> int:
        """Delete items; ids that do not exist are passed over."""
        request = messages.DeleteItemsRequest(item_ids=item_ids)
        return (await self._write(self._catalog.DeleteItems, request, timeout)).catalog_version

    async def upsert_offers(self, offers: Iterable[Offer], *, timeout: float | None = None) -> int:
        """Store offers; each replaces what had the same id."""
        request = messages.UpsertOffersRequest(offers=offers)
        return (await self._write(self._catalog.UpsertOffers, request, timeout)).catalog_version

    async def list_offers(self, *, page_size: int = 0, timeout: float | None = None) -> AsyncIterator[Offer]:
        """List offers by id; ``timeout`` holds for each page."""
        token = ""
        while True:
            request = messages.ListOffersRequest(page_size=page_size, page_token=token)
            page = await self._write(self._catalog.ListOffers, request, timeout)
            for one in page.offers:
                yield one
            token = page.next_page_token
            if not token:
                return

    async def delete_offers(self, offer_ids: Sequence[str], *, timeout: float | None = None) -> int:
        """Delete offers; ids that do not exist are passed over."""
        request = messages.DeleteOffersRequest(offer_ids=offer_ids)
        return (await self._write(self._catalog.DeleteOffers, request, timeout)).catalog_version

    async def upsert_placements(
        self, placements: Iterable[Placement], *, deleted_placements: Sequence[str] = (), timeout: float | None = None
    ) -> int:
        """Store placements, each replacing what had the same id, and delete others in the same step."""
        request = messages.UpsertPlacementsRequest(placements=placements, deleted_placements=deleted_placements)
        return (await self._write(self._catalog.UpsertPlacements, request, timeout)).catalog_version

    async def list_placements(self, *, page_size: int = 0, timeout: float | None = None) -> AsyncIterator[Placement]:
        """List placements by id; ``timeout`` holds for each page."""
        token = ""
        while True:
            request = messages.ListPlacementsRequest(page_size=page_size, page_token=token)
            page = await self._write(self._catalog.ListPlacements, request, timeout)
            for one in page.placements:
                yield one
            token = page.next_page_token
            if not token:
                return

    async def list_placement_versions(self, placement: str, *, timeout: float | None = None) -> list[PlacementVersion]:
        """List what was stored under the name of a placement, newest first."""
        request = messages.ListPlacementVersionsRequest(placement=placement)
        return list((await self._write(self._catalog.ListPlacementVersions, request, timeout)).versions)

    async def delete_placements(self, placements: Sequence[str], *, timeout: float | None = None) -> int:
        """Delete placements; ids that do not exist are passed over."""
        request = messages.DeletePlacementsRequest(placements=placements)
        return (await self._write(self._catalog.DeletePlacements, request, timeout)).catalog_version

    async def upsert_audiences(self, audiences: Iterable[Audience], *, timeout: float | None = None) -> int:
        """Store audiences; each replaces what had the same id."""
        request = messages.UpsertAudiencesRequest(audiences=audiences)
        return (await self._write(self._catalog.UpsertAudiences, request, timeout)).catalog_version

    async def list_audiences(self, *, page_size: int = 0, timeout: float | None = None) -> AsyncIterator[Audience]:
        """List audiences by id; ``timeout`` holds for each page."""
        token = ""
        while True:
            request = messages.ListAudiencesRequest(page_size=page_size, page_token=token)
            page = await self._write(self._catalog.ListAudiences, request, timeout)
            for one in page.audiences:
                yield one
            token = page.next_page_token
            if not token:
                return

    async def delete_audiences(self, audience_ids: Sequence[str], *, timeout: float | None = None) -> int:
        """Delete audiences; ids that do not exist are passed over."""
        request = messages.DeleteAudiencesRequest(audience_ids=audience_ids)
        return (await self._write(self._catalog.DeleteAudiences, request, timeout)).catalog_version

    async def upsert_experiments(self, experiments: Iterable[Experiment], *, timeout: float | None = None) -> int:
        """Store experiments; each replaces what had the same id."""
        request = messages.UpsertExperimentsRequest(experiments=experiments)
        return (await self._write(self._catalog.UpsertExperiments, request, timeout)).catalog_version

    async def list_experiments(self, *, page_size: int = 0, timeout: float | None = None) -> AsyncIterator[Experiment]:
        """List experiments by id; ``timeout`` holds for each page."""
        token = ""
        while True:
            request = messages.ListExperimentsRequest(page_size=page_size, page_token=token)
            page = await self._write(self._catalog.ListExperiments, request, timeout)
            for one in page.experiments:
                yield one
            token = page.next_page_token
            if not token:
                return

    async def delete_experiments(self, experiment_ids: Sequence[str], *, timeout: float | None = None) -> int:
        """Delete experiments; ids that do not exist are passed over."""
        request = messages.DeleteExperimentsRequest(experiment_ids=experiment_ids)
        return (await self._write(self._catalog.DeleteExperiments, request, timeout)).catalog_version

    async def upsert_triggers(self, triggers: Iterable[Trigger], *, timeout: float | None = None) -> int:
        """Store triggers; each replaces what had the same name."""
        request = messages.UpsertTriggersRequest(triggers=triggers)
        return (await self._write(self._catalog.UpsertTriggers, request, timeout)).catalog_version

    async def list_triggers(self, *, page_size: int = 0, timeout: float | None = None) -> AsyncIterator[Trigger]:
        """List triggers by name; ``timeout`` holds for each page."""
        token = ""
        while True:
            request = messages.ListTriggersRequest(page_size=page_size, page_token=token)
            page = await self._write(self._catalog.ListTriggers, request, timeout)
            for one in page.triggers:
                yield one
            token = page.next_page_token
            if not token:
                return

    async def delete_triggers(self, triggers: Sequence[str], *, timeout: float | None = None) -> int:
        """Delete triggers; names that do not exist are passed over."""
        request = messages.DeleteTriggersRequest(triggers=triggers)
        return (await self._write(self._catalog.DeleteTriggers, request, timeout)).catalog_version
