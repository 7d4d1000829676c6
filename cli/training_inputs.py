"""The options that the commands that learn share."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

SourceNames = Annotated[
    list[str] | None,
    typer.Argument(help="Parquet, CSV or JSON Lines: files, globs or folders.", metavar="SOURCE..."),
]
MappingFile = Annotated[
    Path | None, typer.Option("--mapping", "-m", exists=True, dir_okay=False, help="TOML: which column means what.")
]
ItemsFile = Annotated[
    Path | None,
    typer.Option("--items", exists=True, dir_okay=False, help="A table of items: category, brand, name and the like."),
]
ConfigurationFile = Annotated[
    Path | None,
    typer.Option("--config", "--configuration", "-c", exists=True, dir_okay=False, help="TOML: how to learn."),
]
Until = Annotated[datetime | None, typer.Option("--until", help="Learn from what is before this day (UTC) only.")]
WithArchive = Annotated[
    bool, typer.Option("--archive", help="Learn from the archive of recorded events, besides the sources.")
]
CustomersFile = Annotated[
    Path | None,
    typer.Option("--customers", exists=True, dir_okay=False, help="From `dangol customers export`: who is one."),
]
RankerName = Annotated[
    str | None, typer.Option("--ranker", help="`learned` (trees), `blend`, or `auto`: trees where the data allow.")
]


def first_ids_of(path: Path | None) -> dict[str, str]:
    """Give for each linked id the one that its customer is learned as."""
    from models.identities import first_ids
    from service.store.customer_exports import read_links

    return {} if path is None else first_ids(read_links(path))
