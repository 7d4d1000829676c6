import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from cli.demo.data import locate, prepare
from dangol.client import Client
from dangol.v1.offer_service_pb2 import TraceRule
from models.progress import SilentProgress
from tests.e2e.processes import PATIENCE, clean_environment, dangol, mentioning, wait_until

INTERRUPTIBLE = """
import signal
# A shell that starts tests in the background lets them ignore Ctrl-C; a person's terminal does not.
signal.signal(signal.SIGINT, signal.default_int_handler)
from cli.main import main
main()
"""


def start(home: Path) -> subprocess.Popen[bytes]:
    arguments = ("--home", str(home), "demo", "--households", "30", "--json")
    return subprocess.Popen(
        [sys.executable, "-c", INTERRUPTIBLE, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=clean_environment(),
    )


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("demo/data", signal.SIGINT),
        ("demo/redis", signal.SIGINT),
        ("demo/server.log", signal.SIGINT),
        ("demo/server.log", signal.SIGTERM),
    ],
    ids=["converting", "publishing", "serving", "told-to-end"],
)
def test_an_interrupted_demo_leaves_no_process_and_no_unfinished_file(
    tmp_path: Path, moment: str, number: signal.Signals
) -> None:
    process = start(tmp_path)
    try:
        wait_until((tmp_path / moment).exists)
        process.send_signal(number)
        output, error = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert process.returncode == 130
    assert (output, error) == (b"", b"")
    wait_until(lambda: mentioning(tmp_path) == [])
    unfinished = [path for path in (tmp_path / "demo").rglob(".*") if path.name != ".lock"]
    assert unfinished == []
    assert not (tmp_path / "demo" / "ready.json").exists()


def test_the_second_conversion_is_the_first_one_again(tmp_path: Path) -> None:
    first = prepare(locate(), tmp_path, 5, SilentProgress())
    second = prepare(locate(), tmp_path, 5, SilentProgress())
    assert (first.cached, second.cached) == (False, True)
    assert first.folder == second.folder


@pytest.mark.long
def test_the_demo_keeps_its_server_when_asked_and_says_how_good_it_was(tmp_path: Path) -> None:
    [told] = dangol(tmp_path, "demo", "--keep")
    server = psutil.Process(int(str(told["process_id"])))
    try:
        with Client(str(told["address"]), timeout=5.0) as client:
            assert client.serving()
            assert client.get_served_model().generation.model_version == told["model_version"]
        comparison = told["comparison"]
        assert isinstance(comparison, dict)
        assert comparison["households"] > 1_000
        assert comparison["bought"] > comparison["popular_bought"]
        day = told["live_day"]
        assert isinstance(day, dict)
        assert day["events"] > 1_000
        assert day["item_id"] in day["before"]
        assert day["item_id"] not in day["after"]
        pushes = told["pushes"]
        assert isinstance(pushes, dict)
        assert {push["trigger"] for push in pushes["sent"]} == {"coupon-for-you", "left-in-cart"}
        assert set(pushes["dropped"].values()) == {"motive", "consent"}
        story = told["campaign"]
        assert isinstance(story, dict)
        assert story["instead"] != story["offer_id"]
        assert [one["rule"] for one in story["why_not"]] == [
            TraceRule.TRACE_RULE_BUDGET,
            TraceRule.TRACE_RULE_AUDIENCE,
            TraceRule.TRACE_RULE_VALIDITY,
        ]
    finally:
        server.terminate()
        server.wait(PATIENCE)
    [again] = dangol(tmp_path, "demo")
    assert again["model_version"] == told["model_version"]
    assert mentioning(tmp_path) == []
