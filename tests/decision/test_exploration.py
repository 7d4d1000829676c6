from collections import Counter
from dataclasses import replace

import pytest

from models.experiments import Arm, Experiment, ExperimentMode
from models.offers import Item, Offer
from models.policy import PLAIN_POLICY, Exploration, Pin, Policy, Promotion
from service.decision.arrangement import AppliedRule
from service.decision.experiments import index_experiments, treat
from service.decision.query import Query, SlateQuery
from service.decision.slate import Choice, decide
from tests.decision.samples import HOME, NOW, catalog, customer, offers_of, rows_of, slate_of, snapshot
from tests.models_fixtures import candidate, candidate_list, item_id, item_model

ROWS = (7, 3, 11, 2, 9)
LISTED = candidate_list([candidate(row, 1 - place / 10) for place, row in enumerate(ROWS)])
ITEMS = [Item(item_id(row), category="wine" if row in (7, 3) else "") for row in ROWS]
SERVED = snapshot(item_model(12), catalog((), ITEMS))
ADA = customer(LISTED)
DRAWS = 4_000


def explored(percent: int, seed: str, size: int = 2, policy: Policy = PLAIN_POLICY) -> list[Choice]:
    rules = replace(policy, exploration=Exploration(percent))
    return slate_of(SERVED, ADA, replace(HOME, policy=rules), size, seed=seed, explain=True)


def test_the_same_seed_gives_the_same_slate_and_others_give_others() -> None:
    assert explored(50, "r-1") == explored(50, "r-1")
    assert len({tuple(rows_of(explored(50, f"r-{number}"))) for number in range(40)}) > 3


def test_each_pair_of_places_is_as_frequent_as_its_probabilities_say() -> None:
    told: dict[tuple[int, ...], float] = {}
    counts: Counter[tuple[int, ...]] = Counter()
    for number in range(DRAWS):
        slate = explored(40, f"r-{number}")
        pair = tuple(rows_of(slate))
        counts[pair] += 1
        told[pair] = slate[0].selection_probability * slate[1].selection_probability
    assert sum(told.values()) == pytest.approx(1.0)
    assert told[7, 3] == pytest.approx((0.6 + 0.4 / 5) * (0.6 + 0.4 / 4))
    for pair, probability in told.items():
        spread = (probability * (1 - probability) / DRAWS) ** 0.5
        assert counts[pair] / DRAWS == pytest.approx(probability, abs=5 * spread)


def test_chance_is_marked_and_rules_hold_all_the_same() -> None:
    for number in range(60):
        slate = explored(100, f"r-{number}", size=4, policy=Policy(maximal_per_category=1))
        assert sum(row in (7, 3) for row in rows_of(slate)) <= 1
        assert all(AppliedRule.EXPLORED in choice.applied_rules for choice in slate)


def test_pins_stay_and_what_is_owed_to_the_promoted_is_paid() -> None:
    offers = [Offer("pinned", (item_id(9),)), Offer("own", (item_id(2),), labels=("own",))]
    served = snapshot(item_model(12), catalog(offers, ITEMS))
    policy = Policy(exploration=Exploration(100), pins=(Pin(1, "pinned"),), promotion=Promotion("own", 50))
    for number in range(40):
        slate = slate_of(served, ADA, replace(HOME, policy=policy), 2, seed=f"r-{number}")
        assert offers_of(slate) == ["pinned", "own"]
        assert [choice.selection_probability for choice in slate] == [1.0, 1.0]


def test_without_exploration_there_is_no_probability() -> None:
    assert {choice.selection_probability for choice in slate_of(SERVED, ADA)} == {0.0}


def test_interleaved_rankings_leave_nothing_to_chance_but_the_draft() -> None:
    arms = (Arm("a", policy=Policy(exploration=Exploration(100))), Arm("b"))
    running = index_experiments({"e": Experiment("e", ("home-top",), arms, mode=ExperimentMode.INTERLEAVED)})
    for number in range(20):
        query = treat(Query([SlateQuery(HOME, 2)], NOW.timestamp(), seed=f"r-{number}"), running, "ada")
        assert set(rows_of(decide(SERVED, query, ADA)[0])) == {7, 3}
