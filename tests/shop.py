"""A tiny shop whose customers have cyclic tastes: the same arguments always give the same events."""

import csv
import gzip
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

FIRST_DAY = datetime(2025, 1, 1, tzinfo=UTC)
DAYS = 180
COLUMNS = ("event_id", "customer_id", "item_id", "event_type", "event_time", "quantity", "value", "segment")


Rows = list[dict[str, Any]]
"""Events as they stand in a file."""


def customer_name(number: int) -> str:
    return f"customer-{number:05d}"


def item_name(number: int) -> str:
    return f"item-{number:04d}"


def events(
    customers: int = 60, items: int = 40, seed: int = 1, visits: int = 12, tastes: int = 4
) -> list[dict[str, Any]]:
    """Let each customer come ``visits`` times in 180 days; taste t is every item whose number leaves t.

    Every visit buys two items of the customer's taste, one of which tends to be bought again, and views a third.
    """
    randomness = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for customer in range(customers):
        taste = customer % tastes
        liked = np.arange(taste, items, tastes)
        favourite = liked[customer // tastes % len(liked)]
        days = np.sort(randomness.uniform(0, DAYS, visits))
        for visit, day in enumerate(days):
            bought = int(randomness.choice(liked))
            viewed = int(randomness.choice(liked))
            time = FIRST_DAY + timedelta(seconds=int(day * 86_400))
            steps = (("view", viewed), ("purchase", int(favourite)), ("purchase", bought))
            for step, (event_type, item) in enumerate(steps):
                rows.append(
                    {
                        "event_id": f"{customer}-{visit}-{step}",
                        "customer_id": customer_name(customer),
                        "item_id": item_name(item),
                        "event_type": event_type,
                        "event_time": (time + timedelta(seconds=step)).isoformat(),
                        "quantity": 1 + int(randomness.integers(0, 3)),
                        "value": round(1 + item * 0.5, 2),
                        "segment": f"taste-{taste}",
                    }
                )
    rows.sort(key=lambda row: (row["event_time"], row["event_id"]))
    return rows


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Write rows as what the name ends in: .parquet, .csv, .csv.gz, .jsonl or .jsonl.gz."""
    name = path.name
    if name.endswith(".parquet"):
        interim = write_rows(path.with_name(f"{name}.csv"), rows)
        with duckdb.connect() as connection:
            types = "{'customer_id': 'VARCHAR', 'item_id': 'VARCHAR'}"
            connection.execute(
                f"COPY (FROM read_csv('{interim}', header = true, types = {types})) TO '{path}' (FORMAT parquet)"
            )
        interim.unlink()
        return path
    if name.removesuffix(".gz").endswith(".csv"):
        text = _as_csv(rows)
    else:
        text = "".join(json.dumps(row) + "\n" for row in rows)
    content = text.encode()
    path.write_bytes(gzip.compress(content, mtime=0) if name.endswith(".gz") else content)
    return path


def write_events(path: Path, customers: int = 60, items: int = 40, seed: int = 1) -> Path:
    """Write the shop's events to ``path`` and give the path back."""
    return write_rows(path, events(customers, items, seed))


def _as_csv(rows: list[dict[str, Any]]) -> str:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fieldnames=list(rows[0]) if rows else list(COLUMNS))
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()
