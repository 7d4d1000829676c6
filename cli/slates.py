"""Shows slates and ranked items as tables, with terms and reasons in words."""

from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console

from cli.money import money_text
from cli.output import plain_table
from dangol.v1.catalog_pb2 import Discount
from dangol.v1.offer_service_pb2 import (
    Fallback,
    RankedItem,
    RankedOffer,
    Reason,
    ReasonCode,
    RecommendOffersResponse,
    Served,
    Terms,
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
}

_FALLBACKS = {
    Fallback.FALLBACK_SHARED_LIST: "the shared list served, the customer's own could not be read",
    Fallback.FALLBACK_LAST_SNAPSHOT: "the last good snapshot served",
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


def served_text(served: Served) -> str:
    """Say what served an answer."""
    text = f"model {served.model_version}, generation {served.generation}, request {served.request_id}"
    if served.degraded:
        text += f", degraded: {_FALLBACKS.get(served.fallback, 'a fallback served')}"
    return text


def show_recommendation(console: Console, response: RecommendOffersResponse) -> None:
    """Print the slates of one customer."""
    for slate in response.slates:
        if not slate.offers:
            console.print(f"[bold]{slate.placement}[/bold]: nothing to offer")
            continue
        columns = ("", "item", "name", "offer", "price", "saves", "why")
        rows = [_offer_row(offer) for offer in slate.offers]
        # A column that says nothing about any offer only takes room.
        used = [place for place in range(len(columns)) if any(row[place] for row in rows)]
        table = plain_table(*(columns[place] for place in used), title=slate.placement)
        for row in rows:
            table.add_row(*(row[place] for place in used))
        console.print(table)
    console.print(f"[dim]{served_text(response.served)}[/dim]")


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
