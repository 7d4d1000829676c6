"""Choices → offer messages. What depends only on the catalogue is encoded once per catalogue and joined."""

import struct
from collections.abc import Sequence

from dangol.v1 import offer_service_pb2
from models.catalog import Catalog
from models.offers import MAXIMAL_PLACEMENT_SIZE, Offer, discounted
from models.terms import best_representation
from service.decision.page import Place
from service.decision.pairing import Pairing
from service.decision.query import Query, SlateQuery, Treatment
from service.decision.ranking import RankedChoice
from service.decision.reasons import Reason, ReasonCode
from service.decision.slate import Choice
from service.decision.snapshot import ServedModel, Snapshot
from service.decision.traces import Trace
from service.handlers.money_messages import discount_message, money_message
from service.handlers.terms_messages import representation_message
from service.handlers.wire import embedded, embedded_tag, float_tag, number_tag, varint

_REMEMBERED = 50_000
_CODES = {code: offer_service_pb2.ReasonCode.ValueType(code.value) for code in ReasonCode}
_PLAIN = -1  # in place of the number of a representation

_SLATE, _OFFER = offer_service_pb2.Slate.DESCRIPTOR, offer_service_pb2.RankedOffer.DESCRIPTOR
_SLATE_PLACEMENT, _SLATE_OFFERS = embedded_tag(_SLATE, "placement"), embedded_tag(_SLATE, "offers")
_OFFER_REASONS, _OFFER_SCORE = embedded_tag(_OFFER, "reasons"), float_tag(_OFFER, "score")
_RANKS = tuple(
    number_tag(_OFFER, "rank") + varint(rank) + _OFFER_SCORE for rank in range(1, MAXIMAL_PLACEMENT_SIZE + 1)
)
"""Each rank with the tag of the score, which comes next."""
_pack_float, _FLOAT_SIZE = struct.Struct("<f").pack, 4


class OfferMessages:
    """Writes slates, of one catalogue after another."""

    def __init__(self) -> None:
        self._catalog: Catalog | None = None
        self._templates: dict[tuple[str, str, int], bytes] = {}

    def encode(self, placement: str, places: Sequence[Place], catalog: Catalog, query: Query) -> bytes:
        """Encode a Slate: its places, ranked from 1, each with its first reason.

        The same as :meth:`build` without ``explain``, for a fraction of its cost.
        """
        self._forget_what_is_old(catalog)
        parts = [embedded(_SLATE_PLACEMENT, placement.encode())]
        for rank, (pairing, score, reasons) in zip(_RANKS, places, strict=False):
            template = pairing.encoded or self._template_for(pairing, placement, catalog, query)
            reason = (reasons[0].encoded or _encode_reason(reasons[0])) if reasons else b""
            beginning = _SLATE_OFFERS[len(template) + len(rank) + _FLOAT_SIZE + len(reason)]
            parts += beginning, template, rank, _pack_float(score), reason
        return b"".join(parts)

    def build(
        self,
        placement: str,
        choices: Sequence[Choice],
        catalog: Catalog,
        query: Query,
    ) -> offer_service_pb2.Slate:
        """Write a slate's choices, ranked from 1; all that explains them with ``explain``, else the first reason."""
        self._forget_what_is_old(catalog)
        slate = offer_service_pb2.Slate(placement=placement)
        for rank, choice in enumerate(choices, start=1):
            message = slate.offers.add()
            message.MergeFromString(self._template_for(choice.pairing, placement, catalog, query))
            message.rank = rank
            message.score = choice.score
            message.arm = choice.arm
            message.selection_probability = choice.selection_probability
            message.reasons.extend(map(reason_message, choice.reasons if query.explain else choice.reasons[:1]))
            if query.explain:
                _explain(message, choice)
        return slate

    def build_asked(
        self, asked: SlateQuery, choices: Sequence[Choice], snapshot: Snapshot, query: Query
    ) -> offer_service_pb2.Slate:
        """Write a slate as :meth:`build` does, and what an experiment had to do with it."""
        slate = self.build(asked.placement.placement, choices, snapshot.catalog, query)
        if asked.treatment is not None:
            slate.exposure.CopyFrom(exposure_message(asked.treatment, snapshot.under(asked.model_version).model))
        return slate

    def _forget_what_is_old(self, catalog: Catalog) -> None:
        if catalog is not self._catalog or len(self._templates) > _REMEMBERED:
            self._catalog, self._templates = catalog, {}

    def _template_for(self, pairing: Pairing, placement: str, catalog: Catalog, query: Query) -> bytes:
        """Give the bytes that are the same wherever an offer stands on an item; they are encoded once."""
        offer = pairing.offer
        look = _look(offer, placement, query) if offer is not None and offer.representations else _PLAIN
        key = (pairing.item_id, pairing.offer_id, look)
        template = self._templates.get(key)
        if template is None:
            template = self._templates[key] = _template(catalog, pairing.item_id, offer, look).SerializeToString()
        if offer is None or not offer.representations:
            pairing.encoded = template
        return template


def exposure_message(treatment: Treatment, model: ServedModel) -> offer_service_pb2.Exposure:
    """Write what an experiment had to do with a slate, and which model filled it."""
    return offer_service_pb2.Exposure(
        experiment_id=treatment.experiment_id,
        arm=treatment.arm,
        model_version=model.model_version,
        generation=model.generation,
    )


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


def _encode_reason(reason: Reason) -> bytes:
    reason.encoded = embedded(_OFFER_REASONS, reason_message(reason).SerializeToString())
    return reason.encoded


def _look(offer: Offer, placement: str, query: Query) -> int:
    found = best_representation(offer.representations, placement, query.channel, query.language)
    return _PLAIN if found is None else found


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
            reasons=[reason_message(reason) for reason in choice.reasons],
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
    if look != _PLAIN:
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


def reason_message(reason: Reason) -> offer_service_pb2.Reason:
    """Write a reason."""
    return offer_service_pb2.Reason(code=_CODES[reason.code], evidence_item_ids=reason.evidence_item_ids)


def _title(catalog: Catalog, item_id: str) -> str:
    item = catalog.items.get(item_id)
    return item.title if item is not None else ""
