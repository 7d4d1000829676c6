"""In what two models differ: data, settings, how good they are by the same purchases, what customers see of it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from models.artifact import Artifact
from models.manifest import Manifest
from training.backtests import rows_in
from training.evaluation import OURS, rows_of
from training.gate import against_service
from training.in_service import in_service, translated
from training.list_facts import TOP, overlaps
from training.parameters import flattened
from training.scopes import ALL, NEW_TO_CUSTOMER
from training.stored_lists import stored_lists

COMPARED_CUSTOMERS, NAMED_ITEMS = 2_000, 10
_METRICS = ("ndcg@20", "recall@20", "mrr", "revenue-share@20")


def difference(first: Artifact, second: Artifact, verdict: Mapping[str, Any] | None) -> dict[str, Any]:
    """Describe as JSON in what the second model differs from the first; every pair is first, second.

    ``verdict`` is what the gate said of the second one. Where that compared the two, its paired differences are given;
    else they are taken from the lists that are kept, where those of both are fair for the same purchases.
    """
    ours, theirs = second.manifest, first.manifest
    way, paired = _paired(first, second, verdict or {})
    return {
        "versions": [theirs.model_version, ours.model_version],
        "data": _changed(_data(theirs), _data(ours)),
        "configuration": _changed(_settings(theirs), _settings(ours)),
        "metrics": list(_metrics(theirs, ours, paired)),
        "compared": way,
        "sources": _sources(theirs, ours),
        "lists": _lists(first, second),
        "items": _items(first, second),
    }


def _paired(
    first: Artifact, second: Artifact, verdict: Mapping[str, Any]
) -> tuple[str, Mapping[tuple[str, str], Mapping[str, Any]]]:
    """Give how the two were compared, empty when they cannot be, and the differences by scope and metric."""
    if verdict.get("against") == first.manifest.model_version and verdict.get("comparisons"):
        way, entries = str(verdict["way"]), verdict["comparisons"]
    else:
        rival = in_service(second, first)
        _, comparisons = against_service(second, rival)
        way = rival.way if rival else ""
        entries = [
            {
                "scope": entry.scope,
                "metric": entry.metric,
                "difference": entry.difference,
                "interval": list(entry.interval),
                "chance": entry.chance,
            }
            for entry in comparisons
        ]
    return way, {(entry["scope"], entry["metric"]): entry for entry in entries}


def _metrics(
    theirs: Manifest, ours: Manifest, paired: Mapping[tuple[str, str], Mapping[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Give what each reached in its own label window and, where there is one, the paired difference in the second's."""
    tables = [
        {row.scope: row.values for row in rows_of(manifest.metrics.get("evaluation") or {}) if row.lists == OURS}
        for manifest in (theirs, ours)
    ]
    for scope in (ALL, NEW_TO_CUSTOMER):
        for metric in _METRICS:
            found = [table.get(scope, {}).get(metric) for table in tables]
            entry = paired.get((scope, metric))
            told = {name: entry[name] for name in ("difference", "interval", "chance")} if entry else {}
            if told or found != [None, None]:
                yield {"scope": scope, "metric": metric, "values": found, **told}


def _data(manifest: Manifest) -> dict[str, Any]:
    window = (manifest.metrics.get("evaluation") or {}).get("window", {})
    return {
        "first_event_time": manifest.first_event_time.isoformat(),
        "last_event_time": manifest.last_event_time.isoformat(),
        "judged_from": window.get("first_time"),
        "judged_to": window.get("stop_time"),
        **manifest.counts,
        "ranker": manifest.metrics.get("ranker", {}).get("kind"),
    }


def _settings(manifest: Manifest) -> dict[str, Any]:
    return flattened(manifest.configuration, ".")


def _changed(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, list[Any]]:
    pairs = {name: [first.get(name), second.get(name)] for name in [*first, *(set(second) - set(first))]}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _sources(theirs: Manifest, ours: Manifest) -> dict[str, dict[str, list[float]]]:
    """Give for each source its share of the first places and of what was bought from them, in both."""
    shares = [(manifest.metrics.get("evaluation") or {}).get("sources", {}) for manifest in (theirs, ours)]
    names = dict.fromkeys([*shares[0], *shares[1]])
    return {
        name: {told: [part.get(name, {}).get(told, 0.0) for part in shares] for told in ("listed", "bought")}
        for name in names
    }


def _lists(first: Artifact, second: Artifact) -> dict[str, Any]:
    """Compare the first places of customers whom both know, at most COMPARED_CUSTOMERS of them."""
    known = set[str]().union(*(table.customer_ids for table in first.lists()))
    common = [name for table in second.lists() for name in table.customer_ids if name in known]
    chosen = common[:: -(-len(common) // COMPARED_CUSTOMERS) or 1]
    if not chosen:
        return {"customers": 0}
    tops = [stored_lists(artifact, chosen, TOP)[0].item_rows for artifact in (first, second)]
    moved = translated(tops[0], list(first.items().vocabulary), list(second.items().vocabulary))
    shared = overlaps(moved, tops[1])
    return {
        "customers": len(chosen),
        "places": TOP,
        "overlap": round(float(shared.mean()), 4),
        "least_tenth": round(float(np.quantile(shared, 0.1)), 4),
        "same_first_item": round(float((moved[:, 0] == tops[1][:, 0]).mean()), 4),
    }


def _items(first: Artifact, second: Artifact) -> dict[str, Any]:
    """Count the items that only one of the two knows, and name the most popular of them."""
    return {"new": _only_in(second, first), "lost": _only_in(first, second)}


def _only_in(artifact: Artifact, other: Artifact) -> dict[str, Any]:
    model, others = artifact.items(), list(other.items().vocabulary)
    missing = np.flatnonzero(rows_in(list(model.vocabulary), others) < 0)
    order: Sequence[int] = missing[np.argsort(-model.popularity[missing], kind="stable")].tolist()
    return {"count": len(order), "first": [model.vocabulary.id_of(row) for row in order[:NAMED_ITEMS]]}
