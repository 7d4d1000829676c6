"""How figures are stated and quoted."""

import json
from pathlib import Path

import pytest

from benchmarks.figures import ALL, END, KEPT, README, START, main, newest_figures, summary_of, table_of, with_table
from benchmarks.report import Figure, report


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_figure_is_one_json_line_with_the_agreed_names(capsys: pytest.CaptureFixture[str]) -> None:
    report("train.wall-time", 12.5, "s", against="bare implicit 10 s", ratio=1.25, floor=1.4, goal=1.2)
    (line,) = capsys.readouterr().out.splitlines()
    assert list(json.loads(line)) == ["name", "value", "unit", "against", "ratio", "floor", "goal"]


def test_the_newest_figure_of_a_name_is_quoted() -> None:
    report("train.wall-time", 12.5, "s")
    report("train.wall-time", 11.5, "s")
    assert [figure.value for figure in newest_figures([Path("bench-results/train.jsonl")])] == [11.5]


@pytest.mark.parametrize(
    ("figure", "bound", "reached"),
    [
        (Figure("a", 12.5, "s", ratio=1.25, floor=1.4, goal=1.2), 1.4, True),
        (Figure("a", 12.5, "s", ratio=1.25, floor=1.4, goal=1.2), 1.2, False),
        (Figure("a", 9e4, "customers/s", ratio=0.6, floor=0.5, goal=0.8), 0.5, True),
        (Figure("a", 9e4, "customers/s", ratio=0.6, floor=0.5, goal=0.8), 0.8, False),
        (Figure("a", 980, "bytes", floor=1000), 1000, True),
        (Figure("a", 1, "failed calls", floor=0, goal=0), 0, False),
    ],
)
def test_a_bound_is_reached_from_the_side_on_which_the_goal_lies(figure: Figure, bound: float, reached: bool) -> None:
    assert figure.reaches(bound) is reached


def test_a_figure_without_a_bound_reaches_none() -> None:
    assert Figure("a", 1, "s").reaches(None) is None


def test_the_table_takes_the_place_between_the_marks() -> None:
    page = with_table(f"before\n{START}\nold\n{END}\nafter", table_of([Figure("a.b", 1.5, "s")]))
    assert "old" not in page
    assert "| `a.b` | 1.5 s |" in page
    assert page.startswith("before\n")
    assert page.endswith("\nafter")


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="lacks"):
        with_table("a page", "a table")


def test_what_must_be_nought_is_one_line_of_the_summary_and_what_nothing_binds_is_none() -> None:
    figures = [Figure("a.lost", 0, "calls", floor=0), Figure("a.late", 2, "calls", floor=0), Figure("a.size", 1, "MB")]
    (line,) = summary_of([*figures])
    assert (line.name, line.value) == ("a.*", 2)


def test_figures_that_were_not_measured_again_are_kept() -> None:
    ALL.parent.mkdir()
    for page in (ALL, README):
        page.write_text(f"{START}\n{END}\n")
    KEPT.write_text(json.dumps({"name": "a.old", "value": 1, "unit": "s"}) + "\n")
    report("b.new", 2, "s", floor=3)
    assert main() == 0
    assert ["`a.old`" in ALL.read_text(), "`b.new`" in README.read_text()] == [True, True]
    assert len(KEPT.read_text().splitlines()) == 2
