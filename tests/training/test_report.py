"""The report of a model: whole, self-contained, and harmless whatever items are called."""

from html.parser import HTMLParser
from pathlib import Path

import pytest

from cli.erasure_work import shown_in
from cli.promotion import pass_gate
from models.artifact import Artifact
from models.errors import InvalidInputError
from models.registry import Registry
from tests.shop import item_name, write_events, write_rows
from tests.training.reading import row
from training.config import ColumnMapping, FactorSettings, GateSettings, TrainingConfiguration
from training.job import train
from training.names import read_names
from training.report import report_html

pytestmark = pytest.mark.xdist_group("report")  # what they share is dear


class Page(HTMLParser):
    """Gathers the text and the tags of a page."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.text, self.tags, self.links = "", set[str](), list[str]()
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name in {"src", "href", "onload", "onclick"}]

    def handle_data(self, data: str) -> None:
        self.text += data


def learned(path: Path, root: Path, *, learning_curves: bool = False) -> tuple[Registry, Artifact]:
    registry = Registry(root)
    configuration = TrainingConfiguration(factors=FactorSettings(factors=8), learning_curves=learning_curves)
    version = train([str(path)], ColumnMapping(), configuration, registry).manifest.model_version
    pass_gate(registry, version, GateSettings(), by="test")
    return registry, registry.open(version)


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("report")
    registry, artifact = learned(write_events(folder / "events.csv"), folder / "models")
    names = {item_name(1): "<script>alert('tea')</script>"}
    verdict = registry.verdict(artifact.manifest.model_version)
    return report_html(artifact, verdict, artifact, names)


@pytest.fixture
def page(content: str) -> Page:
    return Page(content)


def test_it_tells_what_the_gate_said_how_good_the_model_is_and_for_whom(page: Page) -> None:
    for part in ("Promoted", "The gate", "How good the lists are", "may be chance", "By popularity", "Ten customers"):
        assert part in page.text
    assert "customer-000" in page.text


def test_an_erasure_finds_whom_it_shows(content: str) -> None:
    shown = shown_in(content)
    assert len(set(shown)) == 10
    assert all(name.startswith("customer-000") for name in shown)


def test_it_fetches_nothing_and_runs_nothing(page: Page) -> None:
    assert page.links == []
    assert page.tags.isdisjoint({"script", "link", "img", "iframe"})


def test_a_name_is_text_whatever_it_looks_like(page: Page) -> None:
    assert "<script>alert('tea')</script>" in page.text


def test_a_model_that_was_not_judged_has_a_report_too(tmp_path: Path) -> None:
    _, artifact = learned(write_rows(tmp_path / "one.csv", [row("a", "x")]), tmp_path / "models")
    assert "too little data" in Page(report_html(artifact, None, None, {})).text


def test_learning_curves_are_drawn_where_they_were_kept(tmp_path: Path) -> None:
    registry, artifact = learned(write_events(tmp_path / "events.csv"), tmp_path / "models", learning_curves=True)
    losses = artifact.manifest.metrics["factor_losses"]
    assert [len(sweeps) for sweeps in losses.values()] == [4, 2, 2]
    assert all(first >= last for first, *_, last in losses.values())
    page = Page(report_html(artifact, None, None, {}))
    assert "How it learned" in page.text
    assert all(f"until {cut[:10]}" in page.text for cut in losses)
    _, plain = learned(write_events(tmp_path / "again.csv"), tmp_path / "models")
    assert plain.manifest.files == artifact.manifest.files
    assert registry.verdict(plain.manifest.model_version) is not None


def test_names_come_from_a_table_or_a_catalogue_export(tmp_path: Path) -> None:
    table, export = tmp_path / "names.csv", tmp_path / "catalog.jsonl"
    table.write_text("item_id,description\nx,Tea\n")
    export.write_text('{"format": 1, "kind": "catalog"}\n{"kind": "items", "id": "x", "record": {"title": "Tea"}}\n')
    assert read_names(table) == read_names(export) == {"x": "Tea"}


def test_a_table_without_names_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "names.csv"
    table.write_text("item_id,colour\nx,red\n")
    with pytest.raises(InvalidInputError, match="names"):
        read_names(table)
