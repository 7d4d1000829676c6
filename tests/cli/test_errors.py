from pathlib import Path

import duckdb
import pytest

from cli.errors import ending_of
from tests.cli.conftest import Command


def test_the_version_is_told(dangol: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert dangol("--version") == 0
    assert capsys.readouterr().out.startswith("dangol 0.")


@pytest.mark.parametrize("arguments", [["--nonsense"], ["nonsense"], ["recommend"], ["recommend", "a", "--size", "x"]])
def test_a_command_line_that_makes_no_sense_ends_with_2_and_one_line(
    dangol: Command, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert dangol(*arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("dangol: ")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [["recommend", "ann"], ["similar", "bread"], ["rank", "ann", "bread"], ["health"], ["offers", "list"]],
)
def test_no_server_ends_with_5_and_says_how_to_start_one(
    dangol: Command, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert dangol(*arguments, "--address", "127.0.0.1:1") == 5
    error = capsys.readouterr().err
    assert "dangol serve" in error
    assert error.count("\n") == 1


def test_no_current_model_ends_with_4_and_says_how_to_make_one(
    dangol: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dangol("models", "show") == 4
    assert "dangol train" in capsys.readouterr().err


def test_publishing_without_a_model_is_refused(dangol: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert dangol("publish") == 1
    assert "no current model" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('{"offer_id": "a"}\n{"offer_id": 7\n', "line 2: is not JSON"),
        ('{"offer_id": "a"}\n\n{"offre_id": "b"}\n', "line 3: is no Offer"),
        ('[{"offer_id": "a"}, {"priority": "high"}]', "entry 2: is no Offer"),
        ("7\n", "line 1: is no Offer"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_its_line(
    dangol: Command, capsys: pytest.CaptureFixture[str], tmp_path: Path, content: str, problem: str
) -> None:
    file = tmp_path / "offers.jsonl"
    file.write_text(content)
    assert dangol("offers", "upsert", file, "--address", "127.0.0.1:1") == 3
    error = capsys.readouterr().err
    assert f"{file}: {problem}" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("value", ["3.49", "USD", "3.499USD", "three USD", "NaNUSD", "1e99999USD"])
def test_a_value_that_is_no_money_is_refused(dangol: Command, capsys: pytest.CaptureFixture[str], value: str) -> None:
    assert dangol("record", "ann", "purchase", "bread", "--value", value, "--address", "127.0.0.1:1") == 3
    assert "--value" in capsys.readouterr().err


def test_events_come_from_the_line_or_from_a_file_but_not_from_both(
    dangol: Command, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text("{}\n")
    assert dangol("record", "ann", "view", "--file", file) == 3
    assert dangol("record") == 3
    assert "--file" in capsys.readouterr().err


def test_an_unexpected_error_shows_its_trace_only_when_asked(
    dangol: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object) -> None:
        raise RuntimeError("secret\nplace")

    monkeypatch.setattr("models.registry.Registry.current", broken)
    assert dangol("models", "list") == 1
    error = capsys.readouterr().err
    assert error.startswith("dangol: internal error: RuntimeError: secret place")
    assert error.count("\n") == 1
    with pytest.raises(RuntimeError):
        dangol("--trace", "models", "list")


def test_too_little_memory_for_the_data_says_what_to_allow() -> None:
    with (
        duckdb.connect(config={"memory_limit": "1MB"}) as connection,
        pytest.raises(duckdb.OutOfMemoryException) as info,
    ):
        connection.execute("CREATE TABLE numbers AS SELECT range FROM range(10000000)")
    assert "resources.memory_limit_mb" in ending_of(info.value).line
