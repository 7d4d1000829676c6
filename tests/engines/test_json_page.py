"""What docs/json.md tells people to type works, and it leaves nothing out."""

import argparse
import json
import shlex
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from service.store.embedded import EmbeddedRedis
from tests.engines.json_calls import METHODS, Answer, ask, rule_of
from tests.house.repository import ROOT, shell_lines
from tests.models_fixtures import candidate, candidate_list, item_model
from tests.server_fixtures import publish_model, running_server

PAGE = Path("docs/json.md")
SHOWN = "http://127.0.0.1:7411"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory = tmp_path_factory.mktemp("page")
    with EmbeddedRedis(directory / "redis") as redis:
        publish_model(redis.url, directory, item_model(), {"ada": candidate_list([candidate(7, 1.0)])})
        with running_server(directory / "server", redis.url, engine="envoy") as running:
            yield running.address


def typed(command: str, address: str) -> Answer:
    """Do what curl does with a command of the page."""
    curl = argparse.ArgumentParser()
    curl.add_argument("url")
    curl.add_argument("-H", dest="headers", action="append", default=[])
    curl.add_argument("-d", dest="body", default="")
    options = curl.parse_args(shlex.split(command)[1:])
    headers = dict(header.split(": ") for header in options.headers)
    verb = "POST" if options.body else "GET"
    return ask(address, verb, options.url.removeprefix(SHOWN), options.body.encode(), headers)


def test_what_is_shown_works_in_its_order(address: str) -> None:
    commands = [line for line in shell_lines(PAGE) if line.startswith("curl ")]
    answers = {command: typed(command, address) for command in commands}
    assert [(command, answer.text) for command, answer in answers.items() if answer.status != 200] == []
    assert all(json.loads(line) for answer in answers.values() for line in answer.text.splitlines())


def test_every_path_is_listed() -> None:
    page = (ROOT / PAGE).read_text(encoding="utf-8")
    rules = {name: rule for name, method in METHODS.items() if (rule := rule_of(method))}
    assert [name for name, (verb, path) in rules.items() if f"| `{name}` | {verb} | `{path}` |" not in page] == []


@pytest.mark.parametrize("name", ["annotations.proto", "http.proto"])
def test_what_google_wrote_stands_in_the_contract_word_for_word(name: str) -> None:
    assert (ROOT / "protos/google/api" / name).read_text() == files("google.api").joinpath(name).read_text()
