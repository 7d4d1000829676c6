"""The documentation: its links lead somewhere, and what it tells people to type and to set exists."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from cli.main import app
from service.settings import Settings
from tests.house.repository import ROOT, code_spans, committed_files, documents, make_targets, shell_lines

COMMAND = typer.main.get_command(app)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def slug(heading: str) -> str:
    """Give the anchor that a heading gets where Markdown is shown."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    """Give the anchors of a page."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return {slug(heading) for heading in re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)}


def typed(page: Path, program: str) -> Iterator[list[str]]:
    """Give the words after ``program`` of every command that a page shows, in blocks and in prose."""
    for line in [*shell_lines(page), *code_spans(page)]:
        for part in re.split(r"\s*(?:&&|;|\s\|\s)\s*", line):
            words = part.split()
            while words and "=" in words[0]:
                words = words[1:]
            if words and words[0].removeprefix(".venv/bin/") == program:
                yield words[1:]


def problem_of(words: list[str]) -> str | None:
    """Tell what is wrong with the words after ``dangol``, None when the command and its options exist."""
    command = COMMAND
    for word in words:
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        commands = getattr(command, "commands", {})
        if word.startswith("-"):
            name = word.partition("=")[0]
            if name not in known | {"--help", "--version"}:
                return f"no option {name}"
        elif word.isupper():
            return None  # a word that stands for any command
        elif commands:
            names = [name for name in word.split("|") if name.strip("…")]
            missing = [name for name in names if name not in commands]
            if missing and not names[0].startswith(("/", ".", "~")):
                return f"no command {missing[0]}"
            if not names or names[0] not in commands:
                continue
            command = commands[names[0]]
    return None


@pytest.mark.parametrize("page", documents(), ids=str)
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for target in LINK.findall((ROOT / page).read_text(encoding="utf-8")):
        if "://" in target or target.startswith("mailto:"):
            continue
        name, _, anchor = target.partition("#")
        file = (ROOT / page).parent / name if name else ROOT / page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("page", documents(), ids=str)
def test_make_targets_that_are_shown_exist(page: Path) -> None:
    words = [word for words in typed(page, "make") for word in words if re.fullmatch(r"[a-z][a-z-]*", word)]
    assert set(words) <= make_targets()


@pytest.mark.parametrize("page", documents(), ids=str)
def test_commands_that_are_shown_exist(page: Path) -> None:
    problems = [
        f"dangol {' '.join(words)}: {problem}" for words in typed(page, "dangol") if (problem := problem_of(words))
    ]
    assert problems == []


def test_every_setting_of_the_server_is_described() -> None:
    text = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    missing = [name for name in Settings.model_fields if f"DANGOL_{name.upper()}" not in text]
    assert missing == []


def variables(command: object) -> set[str]:
    """Give the environment variables that a command and those below it take."""
    own = {
        str(name)
        for parameter in getattr(command, "params", [])
        for name in ([parameter.envvar] if isinstance(parameter.envvar, str) else parameter.envvar or [])
    }
    return own.union(*(variables(below) for below in getattr(command, "commands", {}).values()))


def test_every_variable_that_is_named_anywhere_is_read() -> None:
    read = {f"DANGOL_{name.upper()}" for name in Settings.model_fields} | variables(COMMAND)
    pages = [path for path in committed_files() if path.suffix == ".md" or path.parts[0] == "docker"]
    named = {
        (name, str(path))
        for path in pages
        for name in re.findall(r"\bDANGOL_[A-Z_]*[A-Z]\b", (ROOT / path).read_text(encoding="utf-8"))
    }
    assert {(name, path) for name, path in named if name not in read} == set()


def test_every_variable_of_the_command_line_is_described() -> None:
    text = "".join((ROOT / page).read_text(encoding="utf-8") for page in documents())
    assert {name for name in variables(COMMAND) if name not in text} == set()


def test_every_command_is_described() -> None:
    text = (ROOT / "docs/commands.md").read_text(encoding="utf-8")
    assert [name for name in getattr(COMMAND, "commands", {}) if f"dangol {name}" not in text] == []


def test_the_index_lists_every_page() -> None:
    index = (ROOT / "docs/README.md").read_text(encoding="utf-8")
    pages = [
        page for page in documents() if page.parts[0] == "docs" and len(page.parts) == 2 and page.name != "README.md"
    ]
    assert [str(page) for page in pages if f"({page.name})" not in index] == []


def test_the_index_of_decisions_lists_every_decision() -> None:
    index = (ROOT / "docs/decisions/README.md").read_text(encoding="utf-8")
    pages = [page.name for page in documents() if page.match("docs/decisions/0*.md")]
    assert [name for name in pages if f"({name})" not in index] == []


@pytest.mark.parametrize(
    "page", [page for page in documents() if page.match("docs/decisions/0*.md")], ids=lambda page: page.stem
)
def test_a_decision_states_question_decision_measurement_and_what_follows(page: Path) -> None:
    headings = re.findall(r"^## (.*)$", (ROOT / page).read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert headings == ["Question", "Decision", "Measured", "What follows"]


def test_every_direct_dependency_is_explained_and_no_other() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    groups = [*project["project"]["optional-dependencies"].values(), *project["dependency-groups"].values()]
    listed = [
        *project["project"]["dependencies"],
        *(entry for group in groups for entry in group if isinstance(entry, str)),
    ]
    names = {re.split(r"[^a-z0-9-]", requirement)[0] for requirement in listed}
    page = (ROOT / "docs/dependencies.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([a-z0-9-]+)`", page, flags=re.MULTILINE)) == names
