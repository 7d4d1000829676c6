import json
from pathlib import Path

import pytest

from tests.cli.conftest import Command

GOOD = {
    "offers": ["a"],
    "selection_probabilities": [0.5],
    "rewards": [1],
    "choices": ["a"],
    "context": {"channel": "app"},
}


def test_decisions_are_evaluated_from_a_file(
    dangol: Command, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "decisions.jsonl"
    file.write_text("".join(json.dumps(GOOD | {"rewards": [n % 2]}) + "\n" for n in range(10)))
    assert dangol("evaluate", "--off-policy", file, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["logged"]["estimate"], told["ips"]["estimate"], told["snips"]["estimate"]) == (0.5, 1.0, 0.5)
    assert dangol("evaluate", "--off-policy", file) == 0
    assert "as it would be, SNIPS" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "is not JSON"),
        ("[]", "is not a JSON object"),
        (json.dumps(GOOD | {"offers": [1]}), "has no list of texts as offers"),
        (json.dumps(GOOD | {"rewards": "1"}), "has no list of numbers as rewards"),
        (json.dumps(GOOD | {"rewards": [1, 2]}), "has not as many"),
        (json.dumps(GOOD | {"selection_probabilities": [0]}), "not above 0"),
    ],
)
def test_a_line_that_is_no_decision_is_named(
    dangol: Command, capsys: pytest.CaptureFixture[str], tmp_path: Path, line: str, problem: str
) -> None:
    file = tmp_path / "decisions.jsonl"
    file.write_text(json.dumps(GOOD) + "\n" + line + "\n")
    assert dangol("evaluate", "--off-policy", file) == 3
    told = capsys.readouterr().err
    assert "line 2" in told
    assert problem in told
