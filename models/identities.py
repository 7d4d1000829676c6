"""Which ids are one customer, as it follows from links between them."""

from collections.abc import Iterable

Link = tuple[str, str]


def groups_of(links: Iterable[Link]) -> list[tuple[str, ...]]:
    """Give the ids of each customer that links make of several, in order, customers by their first id."""
    leaders: dict[str, str] = {}

    def leader_of(name: str) -> str:
        leader = leaders.setdefault(name, name)
        while leader != leaders[leader]:
            leaders[name], leader = leaders[leader], leaders[leaders[leader]]
        return leader

    for one, other in links:
        first, second = sorted((leader_of(one), leader_of(other)))
        leaders[second] = first
    groups: dict[str, list[str]] = {}
    for name in sorted(leaders):
        groups.setdefault(leader_of(name), []).append(name)
    return [tuple(names) for _, names in sorted(groups.items()) if len(names) > 1]


def first_ids(links: Iterable[Link]) -> dict[str, str]:
    """Give for each linked id the first of its customer, but for those first ones."""
    return {name: names[0] for names in groups_of(links) for name in names[1:]}
