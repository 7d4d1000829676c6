"""Choices → offer messages. What depends only on the catalogue is built once per catalogue and copied."""

from collections.abc import Sequence

from dangol.v1 import offer_service_pb2
from models.catalog import Catalog
from models.offers import Offer, discounted
from models.terms import best_representation
from service.decision.query import Query
from service.decision.ranking import RankedChoice
from service.decision.reasons import Reason, ReasonCode
from service.decision.slate import Choice
from service.decision.traces import Trace
from service.handlers.money_messages import discount_message, money_message
from service.handlers.terms_messages import representation_message

_REMEMBERED_TEMPLATES = 50_000
_CODES = {code: offer_service_pb2.ReasonCode.ValueType(code.value) for code in ReasonCode}


_NO_REPRESENTATION = -1


class OfferMessages:
    """Writes slates, of one catalogue after another."""

    def __init__(self) -> None:
        self._catalog: Catalog | None = None
        self._templates: dict[tuple[str, str, int], offer_service_pb2.RankedOffer] = {}

    def add_choices(
        self, slate: offer_service_pb2.Slate, choices: Sequence[Choice], catalog: Catalog, query: Query
    ) -> None:
        """Append a slate's choices, ranked from 1; all that explains them with ``explain``, else the first reason."""
        templates = self._templates_of(catalog)
        add = slate.offers.add
        explain = query.explain
        for rank, choice in enumerate(choices, start=1):
            item_id, offer, score, reasons, _, _ = choice
            look = _NO_REPRESENTATION
            if offer is not None and offer.representations:
                look = _look(offer, slate.placement, query)
            key = (item_id, offer.offer_id if offer is not None else "", look)
            template = templates.get(key)
            if template is None:
                template = templates[key] = _template(catalog, item_id, offer, look)
            message = add()
            message.CopyFrom(template)
            message.rank = rank
            message.score = score
            for code, evidence in reasons if explain else reasons[:1]:
                message.reasons.add(code=_CODES[code], evidence_item_ids=evidence)
            if explain:
                _explain(message, choice)

    def _templates_of(self, catalog: Catalog) -> dict[tuple[str, str, int], offer_service_pb2.RankedOffer]:
        if catalog is not self._catalog or len(self._templates) > _REMEMBERED_TEMPLATES:
            self._catalog, self._templates = catalog, {}
        return self._templates


def trace_messages(traces: Sequence[Trace]) -> list[offer_service_pb2.OfferTrace]:
    """Write what became of offers."""
    return [
        offer_service_pb2.OfferTrace(
            offer_id=trace.offer_id,
            rank=trace.rank,
            rule=offer_service_pb2.TraceRule.ValueType(trace.rule or 0),
            reached_rank=trace.reached_rank,
        )
        for trace in traces
    ]


def _look(offer: Offer, placement: str, query: Query) -> int:
    found = best_representation(offer.representations, placement, query.channel, query.language)
    return _NO_REPRESENTATION if found is None else found


def _explain(message: offer_service_pb2.RankedOffer, choice: Choice) -> None:
    if choice.factors is not None:
        propensity, context, value, lever = choice.factors
        message.factors.propensity, message.factors.context = propensity, context
        message.factors.value, message.factors.lever = value, lever
    message.applied_rules.extend(offer_service_pb2.AppliedRule.ValueType(rule) for rule in choice.applied_rules)


def ranked_items(choices: Sequence[RankedChoice], catalog: Catalog) -> list[offer_service_pb2.RankedItem]:
    """Write ranked items with every reason."""
    return [
        offer_service_pb2.RankedItem(
            rank=rank,
            item_id=choice.item_id,
            score=choice.score,
            reasons=[_reason(reason) for reason in choice.reasons],
            item_title=_title(catalog, choice.item_id),
        )
        for rank, choice in enumerate(choices, start=1)
    ]


def _template(catalog: Catalog, item_id: str, offer: Offer | None, look: int) -> offer_service_pb2.RankedOffer:
    title = _title(catalog, item_id)
    message = offer_service_pb2.RankedOffer(item_id=item_id, title=title, item_title=title)
    item = catalog.items.get(item_id)
    price = item.price if item is not None else None
    if price is not None:
        message.terms.price.CopyFrom(money_message(price))
    if offer is None:
        return message
    message.offer_id = offer.offer_id
    message.title = offer.title or title
    if look != _NO_REPRESENTATION:
        message.representation.CopyFrom(representation_message(offer.representations[look], with_conditions=False))
        message.title = message.representation.title or message.title
    if offer.end_time is not None:
        message.terms.end_time.FromDatetime(offer.end_time)
    if offer.discount is not None:
        message.terms.discount.CopyFrom(discount_message(offer.discount))
        reduced = discounted(price, offer.discount) if price is not None else None
        if reduced is not None:
            message.terms.discounted_price.CopyFrom(money_message(reduced))
    return message


def _reason(reason: Reason) -> offer_service_pb2.Reason:
    return offer_service_pb2.Reason(code=_CODES[reason.code], evidence_item_ids=reason.evidence_item_ids)


def _title(catalog: Catalog, item_id: str) -> str:
    item = catalog.items.get(item_id)
    return item.title if item is not None else ""
