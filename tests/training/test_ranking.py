import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from models.candidates import MAXIMAL_EVIDENCE, NO_EVIDENCE
from training.blend import Examples, fit_blend, sensible_blend
from training.chunk import best_per_owner, falling_order
from training.features import BOUGHT, FEATURES, NEW, Candidates
from training.ranking import choose, pack_evidence
from training.sources.source import NOTHING


def candidates_of(owners: list[int], groups: list[int]) -> Candidates:
    count = len(owners)
    return Candidates(
        np.array(owners, dtype=np.int64),
        np.arange(count, dtype=np.int64),
        np.array(groups, dtype=np.uint8),
        np.zeros((count, len(FEATURES)), dtype=np.float32),
        np.zeros((count, 4), dtype=np.int16),
    )


@st.composite
def _cases(draw: st.DrawFn) -> tuple[Candidates, list[float]]:
    owners = sorted(draw(st.lists(st.integers(0, 4), max_size=40)))
    groups = draw(st.lists(st.sampled_from([BOUGHT, NEW]), min_size=len(owners), max_size=len(owners)))
    chances = draw(st.lists(st.floats(0, 1, width=32), min_size=len(owners), max_size=len(owners)))
    return candidates_of(owners, groups), chances


@given(_cases(), st.integers(1, 8), st.integers(0, 8))
def test_chosen_lists_are_full_sorted_and_keep_room_for_what_is_new(
    case: tuple[Candidates, list[float]], size: int, room: int
) -> None:
    candidates, chances = case
    probabilities = np.array(chances, dtype=np.float32)
    room = min(room, size)
    kept, owners, places = choose(candidates.owners, candidates.groups == NEW, probabilities, size, room)
    for owner in set(candidates.owners.tolist()):
        own = kept[owners == owner]
        available = int((candidates.owners == owner).sum())
        new_available = int(((candidates.owners == owner) & (candidates.groups == NEW)).sum())
        assert len(set(own.tolist())) == len(own) == min(size, available)
        assert (np.diff(probabilities[own]) <= 0).all()
        assert places[owners == owner].tolist() == list(range(len(own)))
        assert int((candidates.groups[own] == NEW).sum()) >= min(room, new_available)


def test_without_room_for_new_the_most_probable_are_chosen() -> None:
    scores = np.array([0.1, 0.4, 0.2, 0.3], dtype=np.float32)
    kept, _, _ = choose(np.zeros(4, dtype=np.int64), np.ones(4, dtype=bool), scores, 2, 0)
    assert kept.tolist() == [1, 3]


@given(arrays(np.float32, st.integers(0, 60), elements=st.floats(-1e6, 1e6, width=32)))
def test_the_packed_sort_orders_as_a_plain_one_does(values: np.ndarray[tuple[int], np.dtype[np.float32]]) -> None:
    owners = np.sort(np.arange(len(values)) % 3)
    values = values + np.float32(0)
    far = owners + 5000
    assert falling_order(owners, values).tolist() == falling_order(far, values).tolist()
    assert falling_order(owners, values).tolist() == np.lexsort((-values, owners)).tolist()


def test_the_best_of_each_owner_are_placed_from_zero() -> None:
    order, owners, places = best_per_owner(np.array([0, 0, 0, 2]), np.array([1, 3, 2, 9], dtype=np.float32), 2)
    assert (order.tolist(), owners.tolist(), places.tolist()) == ([1, 2, 3], [0, 0, 2], [0, 1, 0])


@given(arrays(np.int64, st.tuples(st.integers(1, 3), st.integers(1, 40)), elements=st.integers(NOTHING, 25)))
def test_packed_evidence_leads_back_to_the_item_that_speaks(
    evidence: np.ndarray[tuple[int, int], np.dtype[np.int64]],
) -> None:
    rows, places, counts = pack_evidence(evidence)
    assert counts.max() <= MAXIMAL_EVIDENCE
    for line, wanted in enumerate(evidence.tolist()):
        distinct = list(dict.fromkeys(value for value in wanted if value != NOTHING))
        assert rows[line, : counts[line]].tolist() == distinct[:MAXIMAL_EVIDENCE]
        for value, place in zip(wanted, places[line].tolist(), strict=True):
            known = value in distinct[:MAXIMAL_EVIDENCE]
            assert place == (distinct.index(value) if known else NO_EVIDENCE)


def examples_of(features: NDArray[np.float32], labels: NDArray[np.bool_]) -> Examples:
    examples = Examples()
    for part in np.array_split(np.arange(len(labels)), 3):
        candidates = candidates_of([0] * len(part), [NEW] * len(part))
        candidates.features[:] = features[part]
        examples.add(candidates, labels[part])
    return examples


def test_the_blend_finds_the_weights_that_made_the_labels() -> None:
    randomness = np.random.default_rng(1)
    features = randomness.normal(size=(60_000, len(FEATURES))).astype(np.float32)
    truth = np.linspace(-1, 1, len(FEATURES))
    labels = randomness.random(60_000) < 1 / (1 + np.exp(-(features @ truth)))
    assert np.abs(fit_blend(examples_of(features, labels)).weights[NEW] - truth).max() < 0.06


def test_a_group_without_labels_keeps_sensible_weights() -> None:
    blend = fit_blend(examples_of(np.ones((10, len(FEATURES)), dtype=np.float32), np.zeros(10, dtype=bool)))
    assert np.array_equal(blend.weights, sensible_blend().weights)


def test_probabilities_are_probabilities() -> None:
    candidates = candidates_of([0] * 9, [BOUGHT, NEW, NEW] * 3)
    candidates.features[:] = np.linspace(-1e4, 1e4, 9)[:, np.newaxis]
    probabilities = sensible_blend().probabilities(candidates)
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
