"""Two rankings in one slate, each place credited to the ranking that it is from."""

import random
from collections.abc import Collection, Sequence

Names = Collection[tuple[str, str]]
"""Is what an entry of a ranking takes up: its item and its offer, each with its kind. Nothing may stand twice."""


def team_draft(rankings: Sequence[Sequence[Names]], size: int, seed: str) -> list[tuple[int, int]]:
    """Interleave two rankings: give at most ``size`` pairs of the ranking, 0 or 1, and the place in it, from 0.

    Team-draft interleaving (Radlinski, Kurup and Joachims, CIKM 2008): the ranking with fewer entries picks next, a
    coin decides when they are even; it picks its best entry of which nothing stands yet. One that has none left picks
    no more. ``seed`` decides the coins.
    """
    coins = random.Random(seed)  # noqa: S311 - chance that can be repeated is what is wanted
    places = [0, 0]
    counts = [0, 0]
    drafted: list[tuple[int, int]] = []
    standing: set[tuple[str, str]] = set()
    while len(drafted) < size:
        coin = coins.randrange(2)
        open_teams = []
        for team, ranking in enumerate(rankings):
            places[team] = _next_free(ranking, places[team], standing)
            if places[team] < len(ranking):
                open_teams.append(team)
        if not open_teams:
            break
        team = min(open_teams, key=lambda team: (counts[team], team != coin))
        drafted.append((team, places[team]))
        standing.update(rankings[team][places[team]])
        counts[team] += 1
    return drafted


def _next_free(ranking: Sequence[Names], place: int, standing: set[tuple[str, str]]) -> int:
    while place < len(ranking) and any(name in standing for name in ranking[place]):
        place += 1
    return place
