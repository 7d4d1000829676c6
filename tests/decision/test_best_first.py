from hypothesis import given, strategies

from service.decision.best_first import BestFirst, Standing

standings = strategies.builds(Standing, strategies.sampled_from([-1.0, -0.5, 0.0, 2.0]), strategies.integers(0, 5))


@given(strategies.lists(strategies.tuples(standings, strategies.floats(0, 3)), max_size=20))
def test_customers_come_in_the_order_of_what_they_are_worth_though_they_are_looked_at_in_another(
    customers: list[tuple[Standing, float]],
) -> None:
    expected = sorted(customers)
    order: BestFirst[float] = BestFirst()
    given_out: list[Standing] = []
    for place, (most, less) in enumerate(expected):
        order.add(Standing(most.negative_score + less, most.digest), less)
        bound = expected[place + 1][0] if place + 1 < len(expected) else None
        given_out += (standing for standing, _ in order.before(bound))
    assert given_out == sorted(Standing(most.negative_score + less, most.digest) for most, less in customers)
