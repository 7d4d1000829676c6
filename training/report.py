"""One model on one page: a self-contained HTML file for people, plots inside, nothing fetched, no script."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from models.artifact import Artifact
from models.manifest import Manifest
from training import charts
from training.evaluation import OURS, OWN_FREQUENCY, POPULAR_NOW
from training.gate import IN_SERVICE
from training.learned.trees import STEP
from training.parameters import flattened
from training.report_customers import ten_customers
from training.scopes import ALL, NEW_ITEMS, NEW_TO_CUSTOMER, NOVEL, REBUY, SEEN

_LISTS = {
    OURS: "this model",
    IN_SERVICE: "model in service",
    OWN_FREQUENCY: "bought most often",
    POPULAR_NOW: "sells most now",
}
_KINDS = {OURS: "ours", IN_SERVICE: "service"}
_SCOPES = {
    ALL: "everything",
    NEW_TO_CUSTOMER: "new to the customer",
    REBUY: "bought before",
    SEEN: "only looked at before",
    NOVEL: "never met before",
    NEW_ITEMS: "new in the shop",
    "bought-0": "by newcomers",
    "bought-1-9": "by who had 1 to 9 items",
    "bought-10-49": "by who had 10 to 49 items",
    "bought-50-or-more": "by who had 50 items or more",
}
_METRICS = ("ndcg@20", "recall@20", "mrr", "revenue-share@20")
_MAIN = "ndcg@20"


def report_html(
    artifact: Artifact, verdict: Mapping[str, Any] | None, before: Artifact | None, names: Mapping[str, str]
) -> str:
    """Write the report of a model.

    ``verdict`` is what the gate said of it last, ``before`` the model that was in service then, ``names`` those of
    items by id; an item without one is called by its id.
    """
    environment = Environment(
        loader=PackageLoader("training", ""), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("report.html.jinja").render(
        verdict=verdict,
        lists=_LISTS,
        scopes=_SCOPES,
        metrics=_METRICS,
        before=before.manifest.model_version if before else None,
        customers=list(ten_customers(artifact, before, names)),
        **_learned(artifact.manifest),
        **_judged(artifact.manifest.metrics.get("evaluation") or {}, verdict or {}),
    )


def _learned(manifest: Manifest) -> dict[str, Any]:
    """Give what the template tells of the data, the configuration and the ranker."""
    return {
        "version": manifest.model_version,
        "counts": manifest.counts,
        "first_day": f"{manifest.first_event_time:%Y-%m-%d}",
        "last_day": f"{manifest.last_event_time:%Y-%m-%d}",
        "importances": list(_importances(manifest.metrics)),
        "learning": list(_learning_curves(manifest.metrics)),
        "days": charts.columns(list(manifest.metrics.get("days", {}).items())),
        "refused": manifest.metrics.get("refused", {}),
        "configuration": list(flattened(manifest.configuration, ".").items()),
    }


def _judged(evaluation: Mapping[str, Any], verdict: Mapping[str, Any]) -> dict[str, Any]:
    """Give what the template tells of how good the lists are, those of the model in service among the others."""
    places = list(_SCOPES)
    rows = [*evaluation.get("rows", ()), *(verdict.get("rows") or ())]
    rows.sort(key=lambda row: (places.index(row["scope"]), list(_LISTS).index(row["lists"])))
    comparisons = [*evaluation.get("comparisons", ()), *(verdict.get("comparisons") or ())]
    comparisons.sort(key=lambda entry: places.index(entry["scope"]))
    return {
        "evaluation": evaluation,
        "rows": rows,
        "comparisons": [entry for entry in comparisons if entry["metric"] == _MAIN],
        "overview": _overview(rows),
        "windows": list(_windows(evaluation)),
        "variety": list(_variety(rows)),
        "popularity": _popularity(evaluation),
        "sources": _sources(evaluation),
        "calibration": _calibration(evaluation),
    }


def _overview(rows: Sequence[Mapping[str, Any]]) -> Markup:
    return charts.intervals(
        [
            charts.Point(
                f"{_SCOPES[row['scope']]}: {_LISTS[row['lists']]}",
                row["values"][_MAIN],
                row["intervals"][_MAIN][0],
                row["intervals"][_MAIN][1],
                _KINDS.get(row["lists"], "trivial"),
            )
            for row in rows
            if row["scope"] in (ALL, NEW_TO_CUSTOMER, REBUY, NEW_ITEMS) and row.get("intervals")
        ]
    )


def _windows(evaluation: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if not evaluation:
        return
    for part in (*evaluation.get("earlier_windows", ()), evaluation):
        found = {row["lists"]: row["values"][_MAIN] for row in part["rows"] if row["scope"] == ALL}
        yield {
            "span": f"{part['window']['first_time'][:10]} to {part['window']['stop_time'][:10]}",
            "customers": part["customers_evaluated"],
            "names": list(found),
            "values": list(found.values()),
        }


def _variety(rows: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for row in rows:
        found = {name: value for name, value in row["values"].items() if name.partition("@")[0] in _VARIED}
        if row["scope"] == ALL and found:
            names = [name.partition("@")[0].replace("-", " ") for name in found]
            yield {"lists": row["lists"], "names": names, "values": list(found.values())}


_VARIED = ("coverage", "novelty", "personalization", "concentration", "popularity-lift", "diversity")


def _popularity(evaluation: Mapping[str, Any]) -> Markup:
    parts = evaluation.get("popularity", {}).get(OURS, ())
    labels = (f"{number}. tenth, {part['covered']:.0%} of it shown" for number, part in enumerate(parts, start=1))
    return charts.bars(
        [charts.Bar(label, part["listed"], part["bought"]) for label, part in zip(labels, parts, strict=True)]
    )


def _sources(evaluation: Mapping[str, Any]) -> Markup:
    shares = evaluation.get("sources", {})
    return charts.bars([charts.Bar(name, part["listed"], part["bought"]) for name, part in shares.items()])


def _calibration(evaluation: Mapping[str, Any]) -> Markup | str:
    bins = evaluation.get("calibration", {}).get("bins", ())
    return charts.reliability([part["said"] for part in bins], [part["bought"] for part in bins]) if bins else ""


def _importances(metrics: Mapping[str, Any]) -> Iterator[tuple[str, Markup]]:
    """Draw what the trees gained by each feature, or the sizes of the blend's weights."""
    ranker = metrics.get("ranker", {})
    groups = {"share of the gain": ranker["importances"]} if "importances" in ranker else ranker.get("weights", {})
    for group, weights in groups.items():
        sizes = sorted(((abs(weight), name) for name, weight in weights.items() if name != "constant"), reverse=True)
        yield group, charts.bars([charts.Bar(name, size) for size, name in sizes[:12] if size > 0], unit="")


def _learning_curves(metrics: Mapping[str, Any]) -> Iterator[tuple[str, str, Markup]]:
    """Draw the losses that were kept: of trees, and of factors where that was asked for."""
    trees = metrics.get("ranker", {}).get("losses")
    if trees:
        series = [("before the cut", "trivial", trees["learned"]), ("after it", "ours", trees["later"])]
        told = "Log loss of the odds: in the last window that trees learned from, and in the one they were judged by."
        yield "Trees", told, charts.curves(series, "trees", STEP)
    factors = metrics.get("factor_losses", {})
    if factors:
        series = [(f"until {cut[:10]}", "ours", losses) for cut, losses in factors.items()]
        told = "Loss of the factors after each sweep. Each fit begins where the one before it ended."
        yield "Factors", told, charts.curves(series, "sweeps")
