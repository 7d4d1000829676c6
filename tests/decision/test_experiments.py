from collections import Counter
from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from models.experiments import Arm, Experiment, ExperimentMode, ExperimentStatus, arm_of
from models.offers import Offer
from models.policy import Policy, ScoreMode
from service.decision.experiments import index_experiments, treat
from service.decision.interleaving import team_draft
from service.decision.query import Customer, Query, SlateQuery
from service.decision.slate import Choice, decide
from service.decision.snapshot import Snapshot
from service.decision.terms import TraceRule
from service.decision.traces import trace_offers
from tests.decision.samples import HOME, NOW, catalog, customer, offers_of, rows_of, snapshot
from tests.models_fixtures import candidate, candidate_list, item_id

LISTED = candidate_list([candidate(row, 1 - place / 10) for place, row in enumerate((7, 3, 11, 2, 9))])
OFFERS = [Offer("low", (item_id(7),), priority=-1), Offer("high", (item_id(2),), priority=1)]
WELCOME = Offer("welcome", (), fallback=True)
BY_PRIORITY = Policy(score_mode=ScoreMode.PRIORITY)
SPLIT = Experiment("ranking", ("home-top",), (Arm("control"), Arm("priority", policy=BY_PRIORITY)))
NAMES = [f"customer-{number}" for number in range(60)]


def asked_for(
    served: Snapshot, experiment: Experiment, customer_id: str, seed: str = "r-1", size: int = 5
) -> tuple[Query, Customer]:
    query = Query([SlateQuery(HOME, size)], NOW.timestamp(), seed=seed, trace_offer_ids=["high"])
    who = customer(LISTED, customer_id=customer_id)
    return treat(query, index_experiments({experiment.experiment_id: experiment}), customer_id), who


def slate_under(experiment: Experiment, customer_id: str, seed: str = "r-1", size: int = 5) -> list[Choice]:
    served = snapshot(shop=catalog([*OFFERS, WELCOME]))
    return decide(served, *asked_for(served, experiment, customer_id, seed, size))[0]


def test_each_customer_meets_the_policy_of_their_arm() -> None:
    firsts = {"control": 7, "priority": 2}
    met = set()
    for name in NAMES:
        arm = arm_of(SPLIT, name).arm
        met.add(arm)
        assert rows_of(slate_under(SPLIT, name))[0] == firsts[arm]
    assert met == set(firsts)


def test_who_is_held_out_gets_the_fallback_alone_and_is_told_so() -> None:
    experiment = replace(SPLIT, arms=(Arm("control", 1), Arm("nothing", 1_000_000, holdout=True)))
    assert offers_of(slate_under(experiment, "ada")) == ["welcome"]
    served = snapshot(shop=catalog(OFFERS))
    query, who = asked_for(served, experiment, "ada")
    assert decide(served, query, who) == [[]]
    assert trace_offers(served, query, who, [[]])[0][0].rule is TraceRule.HOLDOUT


def test_an_experiment_that_is_off_or_elsewhere_leaves_the_question_as_it_is() -> None:
    query = Query([SlateQuery(HOME, 3)], NOW.timestamp())
    for experiment in (
        replace(SPLIT, status=ExperimentStatus.ENDED),
        replace(SPLIT, placements=("cart-side",)),
        replace(SPLIT, end_time=NOW),
        replace(SPLIT, start_time=NOW + timedelta(seconds=1)),
    ):
        assert treat(query, index_experiments({"ranking": experiment}), "ada") is query


def test_interleaved_rankings_share_the_slate_and_each_place_names_its_arm() -> None:
    experiment = replace(SPLIT, mode=ExperimentMode.INTERLEAVED)
    slate = slate_under(experiment, "ada", size=4)
    assert Counter(choice.arm for choice in slate) == {"control": 2, "priority": 2}
    assert {2, 7} <= set(rows_of(slate)[:2])
    assert slate == slate_under(experiment, "ada", size=4)


def test_chance_decides_which_ranking_begins() -> None:
    experiment = replace(SPLIT, mode=ExperimentMode.INTERLEAVED)
    firsts = Counter(slate_under(experiment, "ada", seed=f"r-{number}")[0].arm for number in range(80))
    assert min(firsts["control"], firsts["priority"]) > 20


RANKINGS = st.lists(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=8, unique=True), min_size=2, max_size=2
)


@settings(max_examples=200, deadline=None)
@given(RANKINGS, st.integers(1, 10), st.text(max_size=3))
def test_a_draft_lets_nothing_stand_twice_and_the_teams_differ_by_one_while_both_have_a_choice(
    rankings: list[list[tuple[int, int]]], size: int, seed: str
) -> None:
    names = [[(("item", str(item)), ("offer", str(offer))) for item, offer in ranking] for ranking in rankings]
    drafted = team_draft(names, size, seed)
    standing = [name for team, place in drafted for name in names[team][place]]
    assert len(set(standing)) == len(standing)
    assert len(drafted) <= size
    left = [[entry for entry in ranking if not set(entry) & set(standing)] for ranking in names]
    assert len(drafted) == size or not any(left)
    if all(left):
        teams = Counter(team for team, _ in drafted)
        assert abs(teams[0] - teams[1]) <= 1
    for team in range(2):
        places = [place for one, place in drafted if one == team]
        assert places == sorted(places)
