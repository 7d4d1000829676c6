"""The whole API as one method table."""

from collections.abc import Iterator
from dataclasses import dataclass

from service.handlers.audience_handlers import AudienceHandlers
from service.handlers.catalog_handlers import CatalogHandlers
from service.handlers.contract import (
    AUDIENCE_SERVICE,
    CATALOG_SERVICE,
    CUSTOMER_SERVICE,
    EVENT_SERVICE,
    HEALTH_SERVICE,
    MODEL_SERVICE,
    OFFER_SERVICE,
    PUSH_SERVICE,
    SERVICE_NAMES,
)
from service.handlers.customer_handlers import CustomerHandlers
from service.handlers.event_handlers import EventHandlers
from service.handlers.health import Health
from service.handlers.methods import Method, methods_of
from service.handlers.model_handlers import ModelHandlers
from service.handlers.offers import OfferHandlers
from service.handlers.push_handlers import PushHandlers
from service.handlers.reflection import REFLECTION_SERVICE, Reflection


@dataclass(frozen=True, slots=True)
class Api:
    """Holds the implementations of every service."""

    offers: OfferHandlers
    events: EventHandlers
    catalog: CatalogHandlers
    customers: CustomerHandlers
    audiences: AudienceHandlers
    pushes: PushHandlers
    models: ModelHandlers
    health: Health
    reflects: bool = True

    def methods(self) -> Iterator[Method]:
        """Give everything that may be called; health and what operators ask are answered by a full server too."""
        yield from methods_of(OFFER_SERVICE, self.offers)
        yield from methods_of(EVENT_SERVICE, self.events)
        yield from methods_of(CATALOG_SERVICE, self.catalog)
        yield from methods_of(CUSTOMER_SERVICE, self.customers)
        yield from methods_of(AUDIENCE_SERVICE, self.audiences)
        yield from methods_of(PUSH_SERVICE, self.pushes)
        yield from methods_of(MODEL_SERVICE, self.models, exempt=True)
        yield from methods_of(HEALTH_SERVICE, self.health, exempt=True)
        if self.reflects:
            described = (*SERVICE_NAMES, HEALTH_SERVICE.full_name)
            yield from methods_of(REFLECTION_SERVICE, Reflection(described), exempt=True)
