"""Follows one real coupon campaign through the running service: whom it reaches, when, and how often."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.console import Console

from cli.demo.ask import SLATE
from cli.demo.catalog import COUPONS, DemoCatalog
from cli.demo.households import Purchases
from cli.slates import trace_text
from dangol.client import Client
from dangol.v1.catalog_pb2 import Budget, Offer
from dangol.v1.offer_service_pb2 import OfferTrace, RankedOffer

_LOOKED_AT = 40
"""How many households of the campaign are asked for, to find a coupon that two of them see."""


@dataclass(frozen=True, slots=True)
class Campaign:
    """Is a campaign that runs today: its coupons, and the households that it is for and that bought before the cut."""

    name: str
    coupons: Sequence[Offer]
    members: Sequence[str]


@dataclass(frozen=True, slots=True)
class Story:
    """Holds what the service said of one coupon of a campaign.

    ``first`` saw it with its only unit; ``second`` saw ``instead`` at the place where it had stood. The traces tell why
    ``second``, an ``outsider`` of the campaign, and ``first`` for a coupon of a later one, do not see what was asked.
    """

    campaign: Campaign
    coupon: Offer
    first: str
    second: str
    rank: int
    instead: RankedOffer
    outsider: str
    why_not_second: OfferTrace
    why_not_outsider: OfferTrace
    why_not_yet: OfferTrace | None
    later: Offer | None

    def document(self) -> dict[str, object]:
        """Write the story for machines."""
        return {
            "campaign": self.campaign.name,
            "coupons": len(self.campaign.coupons),
            "households": len(self.campaign.members),
            "offer_id": self.coupon.offer_id,
            "first": self.first,
            "second": self.second,
            "instead": self.instead.offer_id,
            "outsider": self.outsider,
            "why_not": [
                {"offer_id": trace.offer_id, "rule": trace.rule}
                for trace in (self.why_not_second, self.why_not_outsider, self.why_not_yet)
                if trace is not None
            ],
        }


def follow(client: Client, catalog: DemoCatalog, purchases: Purchases) -> Story | None:
    """Give a coupon that two households see one unit for a moment; None where no coupon is seen by two."""
    campaign = _campaign(catalog, purchases)
    outsider = _outsider(campaign, purchases)
    if campaign is None or outsider is None:
        return None
    shared = _shared_coupon(client, campaign)
    if shared is None:
        return None
    coupon, first, second, rank = shared
    later = next((offer for offer in catalog.offers if offer.start_time.seconds > catalog.now.timestamp()), None)
    limited = Offer()
    limited.CopyFrom(coupon)
    limited.budget.CopyFrom(Budget(units=1))
    client.upsert_offers([limited])
    try:
        held = _ask(client, first, [later.offer_id] if later is not None else [])
        given = _ask(client, second, [coupon.offer_id])
        outside = _ask(client, outsider, [coupon.offer_id])
    finally:
        client.upsert_offers([coupon])
    return Story(
        campaign=campaign,
        coupon=coupon,
        first=first,
        second=second,
        rank=rank,
        instead=given[0][min(rank, len(given[0])) - 1],
        outsider=outsider,
        why_not_second=given[1][0],
        why_not_outsider=outside[1][0],
        why_not_yet=held[1][0] if held[1] else None,
        later=later,
    )


def _campaign(catalog: DemoCatalog, purchases: Purchases) -> Campaign | None:
    """Give the running campaign of the most coupons."""
    coupons: dict[str, list[Offer]] = {}
    for offer in catalog.running():
        coupons.setdefault(offer.audience_ids[0], []).append(offer)
    if not coupons:
        return None
    name = max(sorted(coupons), key=lambda audience_id: len(coupons[audience_id]))
    members = next(set(audience.customer_ids) for audience in catalog.audiences if audience.audience_id == name)
    known = [household.customer_id for household in purchases.households if household.customer_id in members]
    return Campaign(name, coupons[name], known)


def _outsider(campaign: Campaign | None, purchases: Purchases) -> str | None:
    members = set(campaign.members) if campaign is not None else set()
    return next((one.customer_id for one in purchases.households if one.customer_id not in members), None)


def _shared_coupon(client: Client, campaign: Campaign) -> tuple[Offer, str, str, int] | None:
    """Find the coupon that most households see: it, two of them, and its place in the second's slate."""
    places: dict[str, dict[str, int]] = {}
    for customer_id in campaign.members[:_LOOKED_AT]:
        for offer in _ask(client, customer_id, [])[0]:
            places.setdefault(offer.offer_id, {})[customer_id] = offer.rank
    coupons = {coupon.offer_id: coupon for coupon in campaign.coupons}
    seen = Counter({offer_id: len(ranks) for offer_id, ranks in places.items() if offer_id in coupons})
    for offer_id, count in seen.most_common(1):
        if count > 1:
            first, second, *_ = places[offer_id]
            return coupons[offer_id], first, second, places[offer_id][second]
    return None


def _ask(client: Client, customer_id: str, traced: Sequence[str]) -> tuple[list[RankedOffer], list[OfferTrace]]:
    response = client.recommend_offers(customer_id, COUPONS, page_size=SLATE, trace_offer_ids=traced, timeout=5.0)
    return list(response.slates[0].offers), list(response.slates[0].traces)


def show_story(console: Console, story: Story) -> None:
    """Tell the story to people."""
    coupon, campaign = story.coupon, story.campaign
    begin, end = (datetime.fromtimestamp(time.seconds, UTC) for time in (coupon.start_time, coupon.end_time))
    console.print(
        f"\n[bold]One campaign:[/bold] {campaign.name}, {len(campaign.coupons)} coupons from {begin:%-d %b} until "
        f"{end:%-d %b}, for {len(campaign.members):,} households and nobody else"
    )
    console.print(
        f"  “{coupon.title}” gets a budget of one. Household {story.first} sees it and holds the unit; household "
        f"{story.second}, who saw it at number {story.rank}, sees “{story.instead.title}” there now"
    )
    for customer_id, trace in (
        (story.second, story.why_not_second),
        (story.outsider, story.why_not_outsider),
        (story.first, story.why_not_yet),
    ):
        if trace is not None:
            console.print(f"  why not, household {customer_id}: {trace_text(trace)}", highlight=False)
    if story.later is not None:
        begins = datetime.fromtimestamp(story.later.start_time.seconds, UTC)
        console.print(f"  [dim]that campaign begins on {begins:%-d %b}[/dim]")
