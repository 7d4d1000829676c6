"""What a recommender answers: plain records, of which ``pandas.DataFrame`` makes a table as they are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from training.evaluation import OURS, Comparison, MetricRow, comparisons_of, rows_of
from training.scopes import ALL


@dataclass(frozen=True, slots=True)
class Recommendation:
    """Is one place of a customer's list; ``rank`` counts from 1, ``score`` is comparable within one list only.

    ``source`` names what spoke strongest: rebuy, collaborative, neighbors or popular, and ``everyone`` where the model
    knows no such customer. ``because`` is the item of their history that it rests on, ``because_of`` whether that was
    bought or viewed; both empty without evidence.
    """

    customer_id: str
    rank: int
    item_id: str
    score: float
    source: str
    bought_before: bool
    because: str
    because_of: str


@dataclass(frozen=True, slots=True)
class SimilarItem:
    """Is an item that the customers of another one buy; ``score`` is from 0 to 1, the cosine of the two."""

    item_id: str
    rank: int
    similar_id: str
    score: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """Says why an item stands on a customer's list, or that it does not; printed, it is a sentence.

    ``probability`` is how often items of such a score were bought within a label window, None where that was not
    measured; ``popularity`` is from 0 to 1, 1 for the item most popular when the model learned.
    """

    customer_id: str
    item_id: str
    place: Recommendation | None
    candidates: int
    probability: float | None
    popularity: float

    def __str__(self) -> str:
        """Say it in a sentence."""
        if self.place is None:
            return (
                f"{self.item_id} is not among the {self.candidates} candidates of {self.customer_id}; "
                f"its popularity is {self.popularity:.2f} of the most popular item's"
            )
        chance = "" if self.probability is None else f"; {self.probability:.1%} of such are bought in a label window"
        return (
            f"{self.item_id} is number {self.place.rank} of {self.candidates} for {self.customer_id}, "
            f"{_reason(self.place)}{chance}"
        )


def _reason(place: Recommendation) -> str:
    """Say what speaks for a place, no more than is known."""
    if place.because:
        return f"because {place.because} was {place.because_of}"
    if place.bought_before:
        return "bought before"
    return {
        "collaborative": "as customers alike buy it",
        "neighbors": "as it goes with what the customer bought",
        "popular": "as it sells now",
        "everyone": "as the list for everyone holds it: the customer is not known",
    }.get(place.source, f"by {place.source}")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Holds how good lists were against what was bought later, as :func:`training.evaluation.evaluate` measures it.

    ``document`` is the JSON that a manifest holds under ``metrics.evaluation``.
    """

    document: Mapping[str, Any]

    @property
    def rows(self) -> Sequence[MetricRow]:
        """Give every measure, for each kind of lists and scope, with its 95 % interval."""
        return rows_of(self.document)

    @property
    def comparisons(self) -> Sequence[Comparison]:
        """Give the paired differences to the trivial lists and to the other models."""
        return comparisons_of(self.document)

    def value(self, metric: str = "ndcg@20", scope: str = ALL, lists: str = OURS) -> float:
        """Give one measure. KeyError when it was not taken."""
        found = {row.lists: row.values for row in self.rows if row.scope == scope}
        return found[lists][metric]

    def table(self, scope: str = ALL) -> list[dict[str, Any]]:
        """Give the measures within one scope, a record for each kind of lists."""
        return [
            {"lists": row.lists, "customers": row.customers, **row.values} for row in self.rows if row.scope == scope
        ]
