"""The training job as an estimator: what a data scientist imports in a notebook. It reads like scikit-learn's.

    from training.recommender import Recommender

    model = Recommender(ranker="blend", holdout_days=14).fit(events)
    pd.DataFrame(model.recommend(["customer-1"], k=5))

Nothing learns here: ``fit`` runs :func:`training.job.train`, and what it leaves is an artifact like any other.
"""

import shutil
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from models.artifact import Artifact
from models.candidates import BOUGHT_FLAG, VIEWED_FLAG, Source
from models.erasures import ErasureList, is_erased, recognises
from models.errors import InvalidInputError, NotFoundError, PreconditionError
from models.manifest import Manifest
from models.progress import Progress, SilentProgress
from models.registry import Registry
from training.config import ColumnMapping, TrainingConfiguration, parse
from training.job import train
from training.later_events import LaterEvents, judge_later
from training.parameters import flattened, merged
from training.people import People
from training.ranking import RankedLists
from training.recommendations import Evaluation, Explanation, Recommendation, SimilarItem
from training.scopes import split_metric
from training.sources.source import NOTHING
from training.stored_lists import stored_lists
from training.tables import Events, sources_of

if TYPE_CHECKING:
    from training.tuning.found import Found


class Recommender:
    """Learns whom to offer what from events, and answers from the model that came of it.

    ``settings`` are those of :class:`training.config.TrainingConfiguration`, nested ones as a mapping or joined by two
    underscores: ``factors__factors=64``, ``events__view__half_life_days=10``. ``columns`` maps the columns of the
    events, as :class:`training.config.ColumnMapping` says. Models are written into the ``registry``, a folder that
    ``dangol models`` reads too; without one into a folder that goes with the object. InvalidInputError names a setting
    that is none, or its value.
    """

    def __init__(
        self,
        *,
        columns: ColumnMapping | Mapping[str, Any] | None = None,
        registry: Path | str | None = None,
        **settings: Any,  # noqa: ANN401 - whatever the configuration takes
    ) -> None:
        self._columns = columns
        self._registry = registry
        self._settings = settings
        self._artifact: Artifact | None = None
        self._sources: list[str] = []
        self._first_ids: Mapping[str, str] = {}
        self._folder: Path | None = None
        self._check()

    def __repr__(self) -> str:
        """Show the settings that differ from the defaults."""
        given = self.get_params(deep=False)
        return f"Recommender({', '.join(f'{name}={value!r}' for name, value in given.items() if value is not None)})"

    @property
    def configuration(self) -> TrainingConfiguration:
        """Give the settings, checked and with all defaults."""
        return parse(TrainingConfiguration, merged({}, self._settings), "settings")

    @property
    def artifact(self) -> Artifact:
        """Give the model. PreconditionError before :meth:`fit` or :meth:`load`."""
        if self._artifact is None:
            raise PreconditionError("nothing was learned yet: call fit, or load a model")
        return self._artifact

    @property
    def manifest(self) -> Manifest:
        """Give the description of the model: data, configuration, measures."""
        return self.artifact.manifest

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Give the settings: with ``deep`` all of them, nested ones joined by two underscores; else those given."""
        given = {"columns": self._columns, "registry": self._registry}
        return given | (flattened(self.configuration.model_dump()) if deep else self._settings)

    def set_params(self, **params: Any) -> Self:  # noqa: ANN401 - whatever the configuration takes
        """Change settings, ``columns`` or ``registry``; what was learned stays until the next fit."""
        self._columns = params.pop("columns", self._columns)
        self._registry = params.pop("registry", self._registry)
        earlier, self._settings = self._settings, merged(merged({}, self._settings), params)
        try:
            self._check()
        except InvalidInputError:
            self._settings = earlier
            raise
        return self

    def fit(self, events: Events, first_ids: Mapping[str, str] | None = None, progress: Progress | None = None) -> Self:
        """Learn from events: files, globs, folders, data frames, Arrow tables, DuckDB relations, one or a list of them.

        Every row needs a customer, an item, a time (UTC unless it says otherwise) and an event type. ``first_ids`` says
        for linked ids as which one their customer is learned. InvalidInputError names what cannot be used.
        """
        self._sources = sources_of(events, self._own_folder() / "events", "events")
        self._first_ids = dict(first_ids or {})
        registry = Registry(Path(self._registry or self._own_folder() / "models"))
        result = train(self._sources, self._mapping(), self.configuration, registry, progress, self._first_ids)
        self._artifact = registry.open(result.manifest.model_version)
        return self

    def tune(
        self,
        events: Events,
        *,
        minutes: float = 10,
        trials: int | None = None,
        jobs: int = 1,
        windows: int = 2,
        metric: str = "ndcg@20",
    ) -> "Found":
        """Look for better settings, as ``dangol tune`` does, and take them; the next fit learns by them.

        They are judged on label windows before the one that a fit to the same events is judged by. Needs Optuna
        (``dangol[tune]``). InvalidInputError when nothing was bought in these windows.
        """
        # Optuna is there for those who tune.
        from training.tuning.task import Inputs, task_of  # noqa: PLC0415
        from training.tuning.tune import tune  # noqa: PLC0415

        sources = sources_of(events, self._own_folder() / "events", "tuning")
        inputs = Inputs(sources, self._mapping(), self.configuration, People(), metric, windows)
        task = task_of(inputs, SilentProgress())
        journal = self._own_folder() / f"{task.digest()}.journal"
        found = tune(task, journal, minutes=minutes, trials=trials, jobs=jobs, watch=lambda _: None)
        if found.best is not None:
            self.set_params(**found.settings)
        return found

    def recommend(self, customers: str | Sequence[str], k: int = 10) -> list[Recommendation]:
        """Give the first ``k`` places of customers' lists, best first, customer by customer; at most ``list_size``.

        Whoever the model does not know gets the list for everyone. Ask for many at once: the lists lie on disk.
        """
        if k < 1:
            raise InvalidInputError("k", "must be at least 1")
        ids = _ids(customers)
        lists, known = stored_lists(self.artifact, ids, min(k, self._list_size()))
        item_ids = list(self.artifact.items().vocabulary)
        return [
            _recommendation(customer_id, bool(known[owner]), lists, (owner, place), item_ids)
            for owner, customer_id in enumerate(ids)
            for place in range(lists.item_rows.shape[1])
            if lists.item_rows[owner, place] != NOTHING
        ]

    def similar_items(self, items: str | Sequence[str], k: int = 10) -> list[SimilarItem]:
        """Give the ``k`` items that are bought by those who buy each of ``items``, at most ``neighbors_per_item``.

        NotFoundError when the model knows no such item.
        """
        model = self.artifact.items()
        found = []
        for item_id in _ids(items):
            rows, scores = model.neighbors_of(self._row(item_id))
            found += [
                SimilarItem(item_id, rank, model.vocabulary.id_of(int(row)), float(score))
                for rank, (row, score) in enumerate(zip(rows[:k], scores[:k], strict=True), start=1)
            ]
        return found

    def explain(self, customer: str, item: str) -> Explanation:
        """Say why an item stands on a customer's list, or that it does not. NotFoundError for an unknown item."""
        model, row = self.artifact.items(), self._row(item)
        places = self.recommend(customer, self._list_size())
        place = next((one for one in places if one.item_id == item), None)
        told = place is not None and place.source != "everyone" and model.propensity is not None
        probability = model.propensity.of(place.score) if told and place and model.propensity else None
        return Explanation(customer, item, place, len(places), probability, float(model.popularity[row]))

    def evaluate(
        self,
        after: Events = None,
        before: Events = None,
        beside: "Mapping[str, Recommender] | None" = None,
        progress: Progress | None = None,
    ) -> Evaluation:
        """Judge the model by what was bought ``after`` its last event, beside the trivial lists and other models.

        Without ``after``, gives how a model learned in the same way from less did in the last label window. ``before``
        are the events that the model learned from: a loaded one does not hold them. ``beside`` names other models; to
        be fair they too know nothing of what came after. InvalidInputError when nothing was bought then.
        """
        if after is None and before is None and beside is None:
            return Evaluation(self.manifest.metrics.get("evaluation") or {})
        folder = self._own_folder() / "events"
        known = self._sources if before is None else sources_of(before, folder, "before")
        if not known:
            raise InvalidInputError("before", "a loaded model does not hold the events that it learned from: pass them")
        later = [] if after is None else sources_of(after, folder, "after")
        events = LaterEvents([*known, *later], self._mapping(), self.configuration, self._first_ids)
        others = {name: other.artifact for name, other in (beside or {}).items()}
        return Evaluation(judge_later(self.artifact, events, others, progress or SilentProgress()))

    def score(self, after: Events, metric: str = "ndcg@20") -> float:
        """Give one measure of :meth:`evaluate`, perhaps within a scope: ``new-to-customer:recall@20``."""
        scope, measured = split_metric(metric)
        return self.evaluate(after).value(measured, scope)

    def save(self, registry: Path | str) -> str:
        """Copy the model into a registry, as ``dangol models`` and ``dangol publish`` read it, and give its version.

        PreconditionError when it tells of customers who were erased there since.
        """
        target = Registry(Path(registry))
        erased = recognises(ErasureList(target.root).all())
        if erased and any(is_erased(one, erased) for table in self.artifact.lists() for one in table.customer_ids):
            raise PreconditionError(
                "the model tells of erased customers: learn it with this registry, which knows them"
            )
        target.take_in(self.artifact)
        return self.manifest.model_version

    @classmethod
    def load(
        cls,
        registry: Path | str,
        version: str | None = None,
        columns: ColumnMapping | Mapping[str, Any] | None = None,
    ) -> Self:
        """Open a model of a registry with the settings that it was learned by: the current one unless named.

        NotFoundError when there is none, ArtifactError when it is damaged.
        """
        found = Registry(Path(registry))
        chosen = version or found.current()
        if chosen is None:
            raise NotFoundError(f"no model under {registry} is current: name a version")
        artifact = found.open(chosen)
        model = cls(columns=columns, registry=registry, **artifact.manifest.configuration)
        model._artifact = artifact
        return model

    def _check(self) -> None:
        """InvalidInputError when a setting or a column cannot be used."""
        self._mapping()
        _ = self.configuration

    def _mapping(self) -> ColumnMapping:
        if isinstance(self._columns, ColumnMapping):
            return self._columns
        return parse(ColumnMapping, dict(self._columns or {}), "columns")

    def _own_folder(self) -> Path:
        """Give a folder that goes with the object."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="dangol-recommender-"))
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        return self._folder

    def _list_size(self) -> int:
        return int(self.manifest.configuration["list_size"])

    def _row(self, item_id: str) -> int:
        row = self.artifact.items().vocabulary.row_of(item_id)
        if row is None:
            raise NotFoundError(f"the model knows no item {item_id!r}")
        return row


def _ids(ids: str | Sequence[str]) -> list[str]:
    return [ids] if isinstance(ids, str) else [str(one) for one in ids]


def _recommendation(
    customer_id: str, known: bool, lists: RankedLists, place: tuple[int, int], item_ids: Sequence[str]
) -> Recommendation:
    code, evidence = int(lists.sources[place]), int(lists.evidence[place])
    viewed = evidence != NOTHING and bool(evidence & VIEWED_FLAG)
    return Recommendation(
        customer_id=customer_id,
        rank=place[1] + 1,
        item_id=item_ids[lists.item_rows[place]],
        score=float(lists.probabilities[place]),
        source=Source(code & ~BOUGHT_FLAG).name.lower() if known else "everyone",
        bought_before=bool(code & BOUGHT_FLAG),
        because="" if evidence == NOTHING else item_ids[evidence & ~VIEWED_FLAG],
        because_of="" if evidence == NOTHING else "viewed" if viewed else "bought",
    )
