"""CatalogService: what the shop has to offer, kept in Redis and served from memory."""

from dangol.v1 import catalog_service_pb2 as messages
from models.catalog import CatalogChange, Expectation
from service.decision.snapshot import DEFAULT_PLACEMENT
from service.handlers.caller import Caller, Context
from service.handlers.catalog_messages import (
    MAXIMAL_BATCH,
    audience_message,
    audiences_from,
    item_message,
    items_from,
    offer_message,
    offers_from,
    placement_message,
    placements_from,
)
from service.handlers.experiment_messages import check_alone, check_held, experiment_message, experiments_from
from service.handlers.pages import page_of
from service.handlers.placement_messages import version_message
from service.handlers.snapshots import Snapshots
from service.handlers.trigger_messages import trigger_message, triggers_from
from service.handlers.validation import check, check_ids, kebab_problem
from service.store.budget_store import BudgetStore
from service.store.cap_store import CapStore
from service.store.catalog_store import CatalogStore
from service.store.model_store import ModelStore


class CatalogHandlers:
    """Answers CatalogService. Whoever gets the answer to a change sees it in the next answer of the same server."""

    def __init__(
        self,
        store: CatalogStore,
        budgets: BudgetStore,
        caps: CapStore,
        models: ModelStore,
        snapshots: Snapshots,
        write_timeout: float,
    ) -> None:
        """``write_timeout`` in seconds bounds a change whatever the deadline of the call."""
        self._store = store
        self._budgets = budgets
        self._caps = caps
        self._models = models
        self._snapshots = snapshots
        self._write_timeout = write_timeout

    async def upsert_items(
        self, caller: Caller, request: messages.UpsertItemsRequest, context: Context
    ) -> messages.UpsertItemsResponse:
        """Store items, all or none."""
        change = CatalogChange(items=tuple(items_from(request.items)))
        return messages.UpsertItemsResponse(catalog_version=await self._store_change(caller, change, context))

    async def list_items(
        self, caller: Caller, request: messages.ListItemsRequest, context: Context
    ) -> messages.ListItemsResponse:
        """List items by id."""
        known = self._snapshots.catalog(caller.tenant).items
        page, token = page_of(known, request.page_size, request.page_token, "items")
        context.facts["items"] = len(page)
        return messages.ListItemsResponse(items=map(item_message, page), next_page_token=token)

    async def delete_items(
        self, caller: Caller, request: messages.DeleteItemsRequest, context: Context
    ) -> messages.DeleteItemsResponse:
        """Delete items; what does not exist is passed over."""
        check_ids("item_ids", request.item_ids, 1, MAXIMAL_BATCH)
        change = CatalogChange(deleted_item_ids=tuple(request.item_ids))
        return messages.DeleteItemsResponse(catalog_version=await self._store_change(caller, change, context))

    async def upsert_offers(
        self, caller: Caller, request: messages.UpsertOffersRequest, context: Context
    ) -> messages.UpsertOffersResponse:
        """Store offers, all or none. ConflictError when one with an etag was changed since."""
        offers = tuple(offers_from(request.offers))
        expected = tuple(Expectation("offers", offer.offer_id, offer.etag) for offer in offers if offer.etag)
        change = CatalogChange(offers=offers, expectations=expected)
        return messages.UpsertOffersResponse(catalog_version=await self._store_change(caller, change, context))

    async def list_offers(
        self, caller: Caller, request: messages.ListOffersRequest, context: Context
    ) -> messages.ListOffersResponse:
        """List offers by id."""
        known = self._snapshots.catalog(caller.tenant).offers
        page, token = page_of(known, request.page_size, request.page_token, "offers")
        context.facts["offers"] = len(page)
        return messages.ListOffersResponse(offers=map(offer_message, page), next_page_token=token)

    async def delete_offers(
        self, caller: Caller, request: messages.DeleteOffersRequest, context: Context
    ) -> messages.DeleteOffersResponse:
        """Delete offers and forget their budgets and counters; what does not exist is passed over."""
        check_ids("offer_ids", request.offer_ids, 1, MAXIMAL_BATCH)
        known = self._snapshots.caps(caller.tenant)
        capped = {offer_id: known[offer_id] for offer_id in request.offer_ids if offer_id in known}
        change = CatalogChange(deleted_offer_ids=tuple(request.offer_ids))
        version = await self._store_change(caller, change, context)
        await self._budgets.forget(caller.tenant, change.deleted_offer_ids, context.budget(self._write_timeout, 0.9))
        await self._caps.forget(caller.tenant, capped, context.budget(self._write_timeout, 0.9))
        return messages.DeleteOffersResponse(catalog_version=version)

    async def upsert_placements(
        self, caller: Caller, request: messages.UpsertPlacementsRequest, context: Context
    ) -> messages.UpsertPlacementsResponse:
        """Store placements, all or none. ConflictError when one with an etag was changed since."""
        check_ids("deleted_placements", request.deleted_placements, 0, MAXIMAL_BATCH)
        given = request.placements or not request.deleted_placements
        placements = tuple(placements_from(request.placements)) if given else ()
        expected = tuple(Expectation("placements", one.placement, one.etag) for one in placements if one.etag)
        deleted = tuple(request.deleted_placements)
        change = CatalogChange(placements=placements, deleted_placements=deleted, expectations=expected)
        return messages.UpsertPlacementsResponse(catalog_version=await self._store_change(caller, change, context))

    async def list_placements(
        self, caller: Caller, request: messages.ListPlacementsRequest, context: Context
    ) -> messages.ListPlacementsResponse:
        """List placements by name, the built-in placement among them."""
        built_in = {DEFAULT_PLACEMENT.placement: DEFAULT_PLACEMENT}
        known = built_in | dict(self._snapshots.catalog(caller.tenant).placements)
        page, token = page_of(known, request.page_size, request.page_token, "placements")
        context.facts["placements"] = len(page)
        return messages.ListPlacementsResponse(placements=map(placement_message, page), next_page_token=token)

    async def list_placement_versions(
        self, caller: Caller, request: messages.ListPlacementVersionsRequest, context: Context
    ) -> messages.ListPlacementVersionsResponse:
        """List what was stored under the name of a placement."""
        check("placement", kebab_problem(request.placement))
        context.budget(self._write_timeout)
        versions = await self._store.placement_versions(caller.tenant, request.placement)
        return messages.ListPlacementVersionsResponse(versions=map(version_message, versions))

    async def delete_placements(
        self, caller: Caller, request: messages.DeletePlacementsRequest, context: Context
    ) -> messages.DeletePlacementsResponse:
        """Delete placements; what does not exist is passed over."""
        check_ids("placements", request.placements, 1, MAXIMAL_BATCH)
        change = CatalogChange(deleted_placements=tuple(request.placements))
        return messages.DeletePlacementsResponse(catalog_version=await self._store_change(caller, change, context))

    async def upsert_audiences(
        self, caller: Caller, request: messages.UpsertAudiencesRequest, context: Context
    ) -> messages.UpsertAudiencesResponse:
        """Store audiences, all or none."""
        change = CatalogChange(audiences=tuple(audiences_from(request.audiences)))
        return messages.UpsertAudiencesResponse(catalog_version=await self._store_change(caller, change, context))

    async def list_audiences(
        self, caller: Caller, request: messages.ListAudiencesRequest, context: Context
    ) -> messages.ListAudiencesResponse:
        """List audiences by id."""
        known = self._snapshots.catalog(caller.tenant).audiences
        page, token = page_of(known, request.page_size, request.page_token, "audiences")
        context.facts["audiences"] = len(page)
        return messages.ListAudiencesResponse(audiences=map(audience_message, page), next_page_token=token)

    async def delete_audiences(
        self, caller: Caller, request: messages.DeleteAudiencesRequest, context: Context
    ) -> messages.DeleteAudiencesResponse:
        """Delete audiences; what does not exist is passed over."""
        check_ids("audience_ids", request.audience_ids, 1, MAXIMAL_BATCH)
        change = CatalogChange(deleted_audience_ids=tuple(request.audience_ids))
        return messages.DeleteAudiencesResponse(catalog_version=await self._store_change(caller, change, context))

    async def upsert_experiments(
        self, caller: Caller, request: messages.UpsertExperimentsRequest, context: Context
    ) -> messages.UpsertExperimentsResponse:
        """Store experiments, all or none. ConflictError when one with an etag was changed since."""
        experiments = tuple(experiments_from(request.experiments))
        check_alone(experiments, self._snapshots.catalog(caller.tenant).experiments)
        if any(arm.model_version for one in experiments for arm in one.arms):
            held = await self._models.held(caller.tenant)
            check_held(experiments, {record.model_version for record in held})
        expected = tuple(Expectation("experiments", one.experiment_id, one.etag) for one in experiments if one.etag)
        change = CatalogChange(experiments=experiments, expectations=expected)
        return messages.UpsertExperimentsResponse(catalog_version=await self._store_change(caller, change, context))

    async def list_experiments(
        self, caller: Caller, request: messages.ListExperimentsRequest, context: Context
    ) -> messages.ListExperimentsResponse:
        """List experiments by id."""
        known = self._snapshots.catalog(caller.tenant).experiments
        page, token = page_of(known, request.page_size, request.page_token, "experiments")
        context.facts["experiments"] = len(page)
        return messages.ListExperimentsResponse(experiments=map(experiment_message, page), next_page_token=token)

    async def delete_experiments(
        self, caller: Caller, request: messages.DeleteExperimentsRequest, context: Context
    ) -> messages.DeleteExperimentsResponse:
        """Delete experiments; what does not exist is passed over."""
        check_ids("experiment_ids", request.experiment_ids, 1, MAXIMAL_BATCH)
        change = CatalogChange(deleted_experiment_ids=tuple(request.experiment_ids))
        return messages.DeleteExperimentsResponse(catalog_version=await self._store_change(caller, change, context))

    async def upsert_triggers(
        self, caller: Caller, request: messages.UpsertTriggersRequest, context: Context
    ) -> messages.UpsertTriggersResponse:
        """Store triggers, all or none. ConflictError when one with an etag was changed since."""
        triggers = tuple(triggers_from(request.triggers))
        expected = tuple(Expectation("triggers", one.trigger, one.etag) for one in triggers if one.etag)
        change = CatalogChange(triggers=triggers, expectations=expected)
        return messages.UpsertTriggersResponse(catalog_version=await self._store_change(caller, change, context))

    async def list_triggers(
        self, caller: Caller, request: messages.ListTriggersRequest, context: Context
    ) -> messages.ListTriggersResponse:
        """List triggers by name."""
        known = self._snapshots.catalog(caller.tenant).triggers
        page, token = page_of(known, request.page_size, request.page_token, "triggers")
        context.facts["triggers"] = len(page)
        return messages.ListTriggersResponse(triggers=map(trigger_message, page), next_page_token=token)

    async def delete_triggers(
        self, caller: Caller, request: messages.DeleteTriggersRequest, context: Context
    ) -> messages.DeleteTriggersResponse:
        """Delete triggers; what does not exist is passed over."""
        check_ids("triggers", request.triggers, 1, MAXIMAL_BATCH)
        change = CatalogChange(deleted_triggers=tuple(request.triggers))
        return messages.DeleteTriggersResponse(catalog_version=await self._store_change(caller, change, context))

    async def _store_change(self, caller: Caller, change: CatalogChange, context: Context) -> int:
        context.facts["changes"] = len(change)
        budget = context.budget(self._write_timeout, 0.9)
        version = await self._store.apply(caller.tenant, change, budget)
        await self._snapshots.catch_up(caller.tenant, version)
        return version
