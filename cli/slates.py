"""Shows slates and ranked items as tables, with terms and reasons in words."""

from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console

from cli.money import money_text
from cli.output import plain_table
from dangol.v1.catalog_pb2 import Discount
from dangol.v1.offer_service_pb2 import (
    AppliedRule,
    Fallback,
    OfferTrace,
    RankedItem,
    RankedOffer,
    Reason,
    ReasonCode,
    RecommendOffersResponse,
    Served,
    Slate,
    Terms,
    TraceRule,
)

_REASONS = {
    ReasonCode.REASON_CODE_BOUGHT_BEFORE: "bought before",
    ReasonCode.REASON_CODE_BOUGHT: "bought {evidence}",
    ReasonCode.REASON_CODE_VIEWED: "viewed {evidence}",
    ReasonCode.REASON_CODE_POPULAR_WITH_SIMILAR_CUSTOMERS: "popular with similar customers",
    ReasonCode.REASON_CODE_POPULAR_IN_SEGMENT: "popular in the segment",
    ReasonCode.REASON_CODE_POPULAR: "popular now",
    ReasonCode.REASON_CODE_GOES_WITH_CONTEXT: "goes with {evidence}",
    ReasonCode.REASON_CODE_CAMPAIGN: "the campaign is for this customer",
    ReasonCode.REASON_CODE_FALLBACK: "nothing else may be shown here",
}

_RULES = {
    AppliedRule.APPLIED_RULE_PINNED: "pinned here",
    AppliedRule.APPLIED_RULE_PROMOTED: "promoted",
    AppliedRule.APPLIED_RULE_DIVERSIFIED: "lower for variety",
    AppliedRule.APPLIED_RULE_ROTATED: "lower as it was shown before",
    AppliedRule.APPLIED_RULE_EXPLORED: "here by chance",
}

_TRACES = {
    TraceRule.TRACE_RULE_UNKNOWN: "there is no such offer",
    TraceRule.TRACE_RULE_STATUS: "it is not live",
    TraceRule.TRACE_RULE_VALIDITY: "its time has not begun or is over",
    TraceRule.TRACE_RULE_WEEKLY_HOURS: "it is not shown at this hour",
    TraceRule.TRACE_RULE_PLACEMENT: "it is not for this placement",
    TraceRule.TRACE_RULE_CHANNEL: "it is not for this channel",
    TraceRule.TRACE_RULE_AUDIENCE: "the customer is in none of its audiences",
    TraceRule.TRACE_RULE_CONSENT: "the customer has not consented to its category",
    TraceRule.TRACE_RULE_EXCLUDED: "the request excludes it",
    TraceRule.TRACE_RULE_DISMISSED: "the customer dismissed it",
    TraceRule.TRACE_RULE_COOLDOWN: "it pauses after what the customer did",
    TraceRule.TRACE_RULE_OTHER_PLACEMENT: "another placement of this answer shows it",
    TraceRule.TRACE_RULE_FALLBACK: "it is a fallback, and none was needed or another came first",
    TraceRule.TRACE_RULE_ITEMS: "none of its items may be shown",
    TraceRule.TRACE_RULE_OTHER_OFFER: "another offer on its items won",
    TraceRule.TRACE_RULE_OUTRANKED: "others stand above it; it would be number {reached_rank}",
    TraceRule.TRACE_RULE_CATEGORY_LIMIT: "there is enough of its category",
    TraceRule.TRACE_RULE_BUDGET: "no unit of its budget is free",
    TraceRule.TRACE_RULE_HOLDOUT: "an experiment holds the customer out",
    TraceRule.TRACE_RULE_CAP: "one of its caps is reached",
    TraceRule.TRACE_RULE_ELIGIBILITY: "its condition does not hold for the customer",
}

_FALLBACKS = {
    Fallback.FALLBACK_SHARED_LIST: "the shared list served, the customer's own could not be read",
    Fallback.FALLBACK_LAST_SNAPSHOT: "the last good snapshot served",
    Fallback.FALLBACK_NO_BUDGETS: "budgets could not be asked, offers that have one were left out",
    Fallback.FALLBACK_NO_CAPS: "decisions could not be counted, offers with a cap on them were left out",
    Fallback.FALLBACK_NO_SHARES: "scores could not be shared out over the customer's events",
}


def discount_text(discount: Discount) -> str:
    """Write what the customer saves."""
    match discount.WhichOneof("kind"):
        case "off_basis_points":
            return f"-{discount.off_basis_points / 100:g} %"
        case "off_amount":
            return f"-{money_text(discount.off_amount)}"
        case "new_price":
            return f"now {money_text(discount.new_price)}"
        case _:
            return ""


def price_text(terms: Terms) -> str:
    """Write the regular price, and the one to pay where it differs."""
    if not terms.HasField("price"):
        return ""
    if not terms.HasField("discounted_price"):
        return money_text(terms.price)
    return f"{money_text(terms.price)} → {money_text(terms.discounted_price)}"


def reason_text(reason: Reason, titles: Mapping[str, str], evidence: int = 2) -> str:
    """Say why in words; up to ``evidence`` items go by their title where it is known, else by their id."""
    template = _REASONS.get(reason.code, "")
    names = list(dict.fromkeys(titles.get(item_id, item_id) for item_id in reason.evidence_item_ids))
    if "{evidence}" in template and not names:
        return template.replace(" {evidence}", "")
    return template.format(evidence=" and ".join(names[:evidence]))


def reasons_text(reasons: Iterable[Reason], titles: Mapping[str, str]) -> str:
    """Say all reasons in words."""
    return "; ".join(filter(None, (reason_text(reason, titles) for reason in reasons)))


def trace_text(trace: OfferTrace) -> str:
    """Say what became of an offer."""
    if trace.rank:
        return f"{trace.offer_id}: number {trace.rank}"
    return f"{trace.offer_id}: not shown, {_TRACES.get(trace.rule, '')}".format(reached_rank=trace.reached_rank)


def _factors_text(offer: RankedOffer) -> str:
    """Say what the score is the product of, and which rules moved the offer."""
    parts = [_RULES[rule] for rule in offer.applied_rules if rule in _RULES]
    if offer.HasField("factors"):
        factors = offer.factors
        parts.insert(0, f"{factors.propensity:.3g} · {factors.context:g} · {factors.value:g} · {factors.lever:g}")
    return "; ".join(parts)


def _shares_text(offer: RankedOffer, titles: Mapping[str, str], shown: int = 3) -> str:
    """Say which of the customer's events the factors' score comes from, in per cent of it."""
    score = offer.collaborative_score
    parts = [
        f"{titles.get(one.item_id, one.item_id)} {one.share / score:.0%}"
        for one in offer.evidence_shares[:shown]
        if score > 0
    ]
    return f"{score:.3f}: {', '.join(parts)}" if parts else ""


def served_text(served: Served) -> str:
    """Say what served an answer."""
    text = f"model {served.model_version}, generation {served.generation}, request {served.request_id}"
    if served.degraded:
        text += f", degraded: {_FALLBACKS.get(served.fallback, 'a fallback served')}"
    return text


def show_recommendation(console: Console, response: RecommendOffersResponse) -> None:
    """Print the slates of one customer, and what served them."""
    show_slates(console, response.slates)
    console.print(f"[dim]{served_text(response.served)}[/dim]")


def show_slates(console: Console, slates: Iterable[Slate]) -> None:
    """Print slates as tables."""
    for slate in slates:
        if not slate.offers:
            console.print(f"[bold]{slate.placement}[/bold]: nothing to offer")
            _show_traces(console, slate.traces)
            continue
        columns = ("", "item", "name", "offer", "price", "saves", "why", "P · C · V · L and rules", "own events")
        rows = [_offer_row(offer) for offer in slate.offers]
        # A column that says nothing about any offer only takes room.
        used = [place for place in range(len(columns)) if any(row[place] for row in rows)]
        table = plain_table(*(columns[place] for place in used), title=slate.placement)
        for row in rows:
            table.add_row(*(row[place] for place in used))
        console.print(table)
        _show_traces(console, slate.traces)


def _show_traces(console: Console, traces: Iterable[OfferTrace]) -> None:
    for trace in traces:
        console.print(trace_text(trace), highlight=False, markup=False)


def _offer_row(offer: RankedOffer) -> Sequence[str]:
    titles = {offer.item_id: offer.item_title} if offer.item_title else {}
    return (
        str(offer.rank),
        offer.item_id,
        offer.item_title or offer.title,
        offer.offer_id,
        price_text(offer.terms),
        discount_text(offer.terms.discount),
        reasons_text(offer.reasons, titles),
        _factors_text(offer),
        _shares_text(offer, titles),
    )


def show_items(console: Console, items: Sequence[RankedItem], served: Served, nothing: str) -> None:
    """Print ranked items."""
    if not items:
        console.print(nothing)
    else:
        table = plain_table("", "item", "name", "score", "why")
        titles = {item.item_id: item.item_title for item in items if item.item_title}
        for item in items:
            reasons = reasons_text(item.reasons, titles)
            table.add_row(str(item.rank), item.item_id, item.item_title, f"{item.score:.3f}", reasons)
        console.print(table)
    console.print(f"[dim]{served_text(served)}[/dim]")
