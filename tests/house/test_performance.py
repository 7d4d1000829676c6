"""The page on performance: its tables and pictures say what was measured."""

import json
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from benchmarks import flame_chart, percentile_chart
from benchmarks.flame_chart import Stacks
from benchmarks.histogram import Histogram
from benchmarks.latency_page import ENGINES, LatencyCurve, picture, table
from benchmarks.percentile_chart import Curve
from benchmarks.performance import KEPT, PAGE, PEERS, PeerRow, peers_table, with_part
from tests.house.repository import ROOT


def rows_of(name: str, part: str) -> list[dict[str, Any]]:
    found: dict[str, list[dict[str, Any]]] = json.loads((ROOT / KEPT / f"{name}.json").read_text(encoding="utf-8"))
    return found[part]


def test_the_table_of_latencies_is_that_of_the_kept_counts() -> None:
    curves = [LatencyCurve(**curve) for curve in rows_of("latency", "curves")]
    assert table(curves) in (ROOT / PAGE).read_text(encoding="utf-8")


@pytest.mark.parametrize("engine", ENGINES)
def test_the_picture_of_an_engine_is_that_of_the_kept_counts(engine: str) -> None:
    curves = [LatencyCurve(**curve) for curve in rows_of("latency", "curves")]
    assert picture(engine, curves) == (ROOT / KEPT / f"images/latency-{engine}.svg").read_text(encoding="utf-8")


def test_the_table_of_peers_is_that_of_what_was_kept() -> None:
    rows = [PeerRow(**row) for row in rows_of("peers", "rows")]
    assert peers_table(rows) in (ROOT / PEERS).read_text(encoding="utf-8")


def test_a_part_takes_the_place_between_its_marks() -> None:
    page = "before\n<!-- a:start -->\nold\n<!-- a:end -->\nafter"
    assert with_part(page, "a", "new") == page.replace("old", "new")


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="lacks"):
        with_part("a page", "a", "a part")


def test_a_curve_ends_where_too_few_calls_lie_beyond() -> None:
    nines = [place for place, _ in Curve("", "#000", Histogram.of([0.001] * 50)).points()]
    assert nines[0] == 0
    assert nines[-1] == pytest.approx(1.0)


def test_curves_are_drawn_as_well_formed_svg_with_all_labels() -> None:
    curves = [Curve("one & two", "#000", Histogram.of([0.001, 0.02])), Curve("three", "#111", Histogram.of([9.0] * 9))]
    drawn = ET.fromstring(percentile_chart.drawn("A <title>", curves))
    texts = [element.text for element in drawn.iter() if element.text]
    assert {"A <title>", "one & two", "three"} <= set(texts)


def test_a_flame_graph_tells_the_share_of_each_frame() -> None:
    stacks = Stacks({("a (x.py)", "b (x.py)"): 30, ("a (x.py)",): 10, ("c (y.py)",): 60, ("d (y.py)",): 0})
    drawn = ET.fromstring(flame_chart.drawn("Title", stacks))
    titles = [element.text for element in drawn.iter() if element.tag.endswith("title")]
    assert titles == ["event loop: 100.0%", "c (y.py): 60.0%", "a (x.py): 40.0%", "b (x.py): 30.0%"]
