import json
from pathlib import Path

import pytest

from cli.placements import changes_between, read_placements
from dangol.v1.catalog_pb2 import Lever, Placement, Policy, ScoreMode
from models.errors import InvalidInputError

TOML = """
[[placements]]
placement = "home-top"
size = 6
policy = { score_mode = "SCORE_MODE_ARBITRATED", levers = [{ label = "clearance", percent = 50 }] }

[[placements]]
placement = "cart-side"
"""


@pytest.mark.parametrize("name", ["placements.toml", "placements.json", "placements.jsonl"])
def test_a_set_of_placements_is_read_whatever_it_is_written_in(tmp_path: Path, name: str) -> None:
    levers = [{"label": "clearance", "percent": 50}]
    first = {"placement": "home-top", "size": 6, "policy": {"score_mode": "SCORE_MODE_ARBITRATED", "levers": levers}}
    second = {"placement": "cart-side"}
    lines = f"{json.dumps(first)}\n{json.dumps(second)}\n"
    written = {".toml": TOML, ".json": json.dumps([first, second]), ".jsonl": lines}
    path = tmp_path / name
    path.write_text(written[path.suffix])
    policy = Policy(score_mode=ScoreMode.SCORE_MODE_ARBITRATED, levers=[Lever(label="clearance", percent=50)])
    assert read_placements(path) == [
        Placement(placement="home-top", size=6, policy=policy),
        Placement(placement="cart-side"),
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("[[placements", "is not TOML"),
        ("[[placement]]\nsize = 1", "holds something else"),
        ("placements = 3", "holds something else"),
        ('[[placements]]\nplacement = "a"\n[[placements]]\nsiez = 1', r"placements\[1\]: is no Placement"),
    ],
)
def test_a_file_that_holds_something_else_is_refused(tmp_path: Path, content: str, problem: str) -> None:
    path = tmp_path / "placements.toml"
    path.write_text(content)
    with pytest.raises(InvalidInputError, match=problem):
        read_placements(path)


def test_differences_are_told_field_by_field() -> None:
    def placement(name: str, size: int, *percents: int) -> Placement:
        levers = [Lever(label="clearance", percent=percent) for percent in percents]
        return Placement(placement=name, size=size, policy=Policy(levers=levers), etag=f"{size}")

    before = {"a": placement("a", 3, 50, 20), "b": placement("b", 2), "c": placement("c", 1)}
    after = {"a": placement("a", 4, 60), "c": placement("c", 1), "d": placement("d", 9)}
    changes = {change.placement: change.document() for change in changes_between(before, after)}
    assert changes["a"]["fields"] == {
        "size": (3, 4),
        "policy.levers[0].percent": (50, 60),
        "policy.levers[1].label": ("clearance", None),
        "policy.levers[1].percent": (20, None),
    }
    assert {name: change["change"] for name, change in changes.items()} == {
        "a": "changed",
        "b": "removed",
        "d": "added",
    }
