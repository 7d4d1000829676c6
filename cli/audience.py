"""``dangol audience``: whom to tell of an offer or an item."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.output import answer, print_json, progress_bars
from cli.session import DEFAULT_ADDRESS, Address, Json, Timeout, session_of

if TYPE_CHECKING:
    from dangol.client.audiences import AudienceQuestion

_SHOWN = 20
_WRITTEN = 10_000


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(rich_help_panel="Ask a server")(audience)


def audience(
    context: typer.Context,
    offer: Annotated[str, typer.Option("--offer", help="The offer that customers are wanted for.")] = "",
    item: Annotated[str, typer.Option("--item", help="Or the item.")] = "",
    placement: Annotated[
        str, typer.Option("--placement", "-p", help="Whose rules hold: rebuys, caps, quiet hours.")
    ] = "default",
    channel: Annotated[str, typer.Option("--channel", help="How they are told, such as `push`.")] = "",
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=0, help="How many; 0: 20, and 10,000 into a file or as JSON.")
    ] = 0,
    minimal_score: Annotated[float | None, typer.Option("--minimal-score", help="Nobody below.")] = None,
    rebuys: Annotated[
        str, typer.Option("--rebuys", help="Are buyers welcome? later, allowed or refused; else as the placement says.")
    ] = "",
    member_of: Annotated[
        list[str] | None, typer.Option("--member-of", help="Only members of this audience; repeatable.")
    ] = None,
    not_member_of: Annotated[
        list[str] | None, typer.Option("--not-member-of", help="No members of this audience; repeatable.")
    ] = None,
    consent: Annotated[str, typer.Option("--consent", help="A consent that they must have given.")] = "",
    time_zone: Annotated[str, typer.Option("--time-zone", help="Where a customer's own is not known.")] = "",
    send_time: Annotated[
        datetime | None, typer.Option("--at", help="When they are to be told, UTC; now unless given.")
    ] = None,
    maximal_age: Annotated[
        int, typer.Option("--maximal-age", min=0, help="Read all lists anew if older than these seconds; 0: as kept.")
    ] = 0,
    explain: Annotated[bool, typer.Option("--explain", help="Give every reason.")] = False,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write them to this file.", metavar="FILE")] = None,
    resume: Annotated[str, typer.Option("--resume", help="Go on where an answer ended.", metavar="TOKEN")] = "",
    address: Address = DEFAULT_ADDRESS,
    timeout: Timeout = 300.0,
    as_json: Json = False,
) -> None:
    """Find the best customers for an offer or an item, and count whom the rules leave out.

    The first question reads the lists of all customers, some seconds for each million; those that follow take what was
    read. As JSON each customer is a line, and the summary the last one.

    Example: `dangol audience --offer bread-week-12 --placement push --channel push --csv audience.csv`
    """
    from cli import audience_work
    from cli.messages import document_of

    question: AudienceQuestion = {
        "offer_id": offer,
        "item_id": item,
        "channel": channel,
        "limit": limit or (_WRITTEN if csv or as_json else _SHOWN),
        "minimal_score": minimal_score,
        "rebuys": audience_work.rebuys_of(rebuys),
        "audience_ids": member_of or (),
        "excluded_audience_ids": not_member_of or (),
        "consent_category": consent,
        "time_zone": time_zone,
        "send_time": send_time,
        "maximal_age": timedelta(seconds=maximal_age) if maximal_age else None,
        "explain": explain,
        "resume_token": resume,
    }
    with session_of(context).client(address, timeout) as client, progress_bars(not as_json) as progress:
        search = audience_work.Search(client, placement, question, timeout, progress)
        shown = []
        if csv is not None:
            audience_work.write_csv(csv, search)
        elif as_json:
            for customer in search:
                print_json(document_of(customer))
        else:
            shown = list(search)
    summary = document_of(search.summary, with_defaults=True)
    answer(summary, as_json, lambda console: audience_work.show(console, shown, csv, search.summary))
