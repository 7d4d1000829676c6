"""``dangol recommend``, ``similar`` and ``rank``: ask a server as a channel would."""

from typing import Annotated

import typer

from cli.output import answer
from cli.session import DEFAULT_ADDRESS, Address, Json, Timeout, session_of

Customer = Annotated[str, typer.Argument(help="The customer's id.", metavar="CUSTOMER")]
Size = Annotated[int, typer.Option("--size", "-n", help="How many at most; 0: as many as the server thinks right.")]
Segment = Annotated[str, typer.Option("--segment", help="Whose list serves when the customer is unknown.")]
PANEL = "Ask a server"


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    for command in (recommend, similar, rank):
        app.command(rich_help_panel=PANEL)(command)


def recommend(
    context: typer.Context,
    customer: Customer,
    placement: Annotated[
        list[str] | None, typer.Option("--placement", "-p", help="The placement to fill; may be given several times.")
    ] = None,
    size: Size = 0,
    channel: Annotated[str, typer.Option("--channel", help="Such as `web`; empty: offers of all channels.")] = "",
    context_item: Annotated[
        list[str] | None, typer.Option("--context", "-c", help="An item being looked at or in the cart; repeatable.")
    ] = None,
    exclude: Annotated[list[str] | None, typer.Option("--exclude", "-x", help="An item to leave out.")] = None,
    exclude_offer: Annotated[list[str] | None, typer.Option("--exclude-offer", help="An offer to leave out.")] = None,
    segment: Segment = "",
    explain: Annotated[bool, typer.Option("--explain", "-e", help="Show every reason, not only the first.")] = False,
    why_not: Annotated[
        list[str] | None, typer.Option("--why-not", "-w", help="An offer whose fate is to be told; repeatable.")
    ] = None,
    language: Annotated[str, typer.Option("--language", "-l", help="Such as `ko`; empty: whatever there is.")] = "",
    time_zone: Annotated[str, typer.Option("--time-zone", help="The customer's, such as `Asia/Seoul`.")] = "",
    consent: Annotated[list[str] | None, typer.Option("--consent", help="A category consented to; repeatable.")] = None,
    address: Address = DEFAULT_ADDRESS,
    timeout: Timeout = 1.0,
    as_json: Json = False,
) -> None:
    """Rank offers for a customer.

    Example: `dangol recommend 1172 --placement home-top --explain`
    """
    from cli.messages import document_of
    from cli.slates import show_recommendation

    with session_of(context).client(address, timeout) as client:
        response = client.recommend_offers(
            customer,
            placement or ["default"],
            page_size=size,
            channel=channel,
            context_item_ids=context_item or (),
            excluded_item_ids=exclude or (),
            excluded_offer_ids=exclude_offer or (),
            segment=segment,
            explain=explain,
            time_zone=time_zone,
            language=language,
            consent_categories=consent or (),
            trace_offer_ids=why_not or (),
        )
    answer(document_of(response, with_defaults=True), as_json, lambda console: show_recommendation(console, response))


def similar(
    context: typer.Context,
    item: Annotated[str, typer.Argument(help="The item's id.", metavar="ITEM")],
    size: Size = 0,
    address: Address = DEFAULT_ADDRESS,
    timeout: Timeout = 1.0,
    as_json: Json = False,
) -> None:
    """List the items most alike to one.

    Example: `dangol similar 1082185 --size 5`
    """
    from cli.messages import document_of
    from cli.slates import show_items

    with session_of(context).client(address, timeout) as client:
        response = client.list_similar_items(item, page_size=size)
    answer(
        document_of(response, with_defaults=True),
        as_json,
        lambda console: show_items(console, response.items, response.served, "No similar items are known."),
    )


def rank(
    context: typer.Context,
    customer: Customer,
    item: Annotated[list[str], typer.Argument(help="The items to rank.", metavar="ITEM...")],
    segment: Segment = "",
    address: Address = DEFAULT_ADDRESS,
    timeout: Timeout = 1.0,
    as_json: Json = False,
) -> None:
    """Rank items of your own for a customer.

    Example: `dangol rank 1172 1082185 995242 1029743`
    """
    from cli.messages import document_of
    from cli.slates import show_items

    with session_of(context).client(address, timeout) as client:
        response = client.rank_items(customer, item, segment=segment)
    answer(
        document_of(response, with_defaults=True),
        as_json,
        lambda console: show_items(console, response.items, response.served, "Nothing to rank."),
    )
