"""The arrows between the rooms: that import-linter holds them, and that each of its contracts can fail."""

import ast
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.house.repository import PACKAGES, ROOT

FLOORS = "Floors: cli above training and service, those above models and dangol"
ROOMS = "Rooms of service: server, engines, handlers, then store beside decision"
PUBLISHER = "The publisher needs the store and nothing else of service"
WORKERS = "The workers need the store and nothing else of service"
SETTINGS = "Settings are read at the top and handed down"
PURE_MODELS = "models is pure"
PURE_DECISION = "The decision is pure"
OFFLINE = "training never meets the online side"
MESSAGES = "service uses the public messages, not the client"
REDIS = "redis only in service.store"
GRPC = "grpc and protobuf only in engines, handlers, dangol and cli"
CEL = "cel_expr_python only in service.decision.conditions"
IMPLICIT = "implicit only in training"

FORBIDDEN = [
    (FLOORS, "models/intruder.py", "service"),
    (FLOORS, "models/intruder.py", "training"),
    (FLOORS, "models/intruder.py", "dangol"),
    (FLOORS, "dangol/intruder.py", "models"),
    (FLOORS, "training/intruder.py", "service"),
    (FLOORS, "training/intruder.py", "cli"),
    (FLOORS, "service/intruder.py", "training"),
    (FLOORS, "service/intruder.py", "cli"),
    (ROOMS, "service/engines/intruder.py", "service.server"),
    (ROOMS, "service/handlers/intruder.py", "service.engines"),
    (ROOMS, "service/store/intruder.py", "service.handlers"),
    (ROOMS, "service/store/intruder.py", "service.decision"),
    (ROOMS, "service/decision/intruder.py", "service.store"),
    (ROOMS, "service/decision/intruder.py", "service.handlers"),
    (PUBLISHER, "service/publisher.py", "service.handlers"),
    (PUBLISHER, "service/publisher.py", "service.decision"),
    (WORKERS, "service/live/intruder.py", "service.handlers"),
    (WORKERS, "service/live/intruder.py", "service.decision"),
    (SETTINGS, "service/live/intruder.py", "service.settings"),
    (SETTINGS, "service/handlers/intruder.py", "service.settings"),
    (SETTINGS, "service/store/intruder.py", "service.settings"),
    (PURE_MODELS, "models/intruder.py", "redis"),
    (PURE_MODELS, "models/intruder.py", "google.protobuf"),
    (PURE_DECISION, "service/decision/intruder.py", "asyncio"),
    (OFFLINE, "training/intruder.py", "redis"),
    (OFFLINE, "training/intruder.py", "dangol.v1.offer_service_pb2"),
    (MESSAGES, "service/handlers/intruder.py", "dangol.client"),
    (REDIS, "service/intruder.py", "redis.asyncio"),
    (REDIS, "service/handlers/intruder.py", "redis"),
    (REDIS, "cli/intruder.py", "redis"),
    (GRPC, "service/intruder.py", "grpc"),
    (GRPC, "service/store/intruder.py", "dangol.v1.offer_service_pb2"),
    (GRPC, "service/decision/intruder.py", "google.protobuf"),
    (CEL, "service/decision/intruder.py", "cel_expr_python"),
    (CEL, "service/handlers/intruder.py", "cel_expr_python"),
    (IMPLICIT, "service/intruder.py", "implicit.als"),
    (IMPLICIT, "cli/intruder.py", "implicit"),
]


@pytest.mark.parametrize("contract", sorted({contract for contract, _, _ in FORBIDDEN}))
def test_every_forbidden_import_breaks_its_contract(contract: str, tmp_path: Path) -> None:
    arrows = [(file, module) for name, file, module in FORBIDDEN if name == contract]
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for file, module in arrows:
        with (tmp_path / file).open("a", encoding="utf-8") as source:
            source.write(f"\nimport {module}\n")
    printed = lint_imports(tmp_path)
    assert f"{contract} BROKEN" in printed
    assert [arrow for arrow in arrows if seen(*arrow) not in printed] == []


def test_every_contract_has_an_import_that_breaks_it() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = {contract["name"] for contract in settings["tool"]["importlinter"]["contracts"]}
    assert contracts == {contract for contract, _, _ in FORBIDDEN}


def test_the_environment_is_read_in_one_module() -> None:
    readers = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if reads_the_environment(path)
    }
    # The demo reads no setting there: it hands the environment on to its server, less what is set for another one.
    # Training tells MLflow there, before it is imported, to send nothing to its makers.
    assert readers == {"service/settings.py", "cli/demo/server.py", "cli/train.py"}


def test_nothing_is_unpickled() -> None:
    offenders = [
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if "pickle" in imported_modules(path) or "allow_pickle=True" in path.read_text(encoding="utf-8")
    ]
    assert offenders == []


def lint_imports(folder: Path) -> str:
    """Run import-linter as ``make lint`` does and give what it prints, each run of spaces as one."""
    program = Path(sys.executable).with_name("lint-imports")
    run = subprocess.run([program, "--no-logo", "--no-cache"], cwd=folder, capture_output=True, text=True, check=False)
    return " ".join((run.stdout + run.stderr).split())


def seen(file: str, module: str) -> str:
    """Give an import as import-linter prints it: of an external package only the first part."""
    top = module.partition(".")[0]
    return f"{file.removesuffix('.py').replace('/', '.')} -> {module if top in PACKAGES else top}"


def imported_modules(path: Path) -> set[str]:
    """Give the names of the modules that a file imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def reads_the_environment(path: Path) -> bool:
    """Tell whether a file names the process's environment, by whatever way."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    words = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    words |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    return bool(words & {"environ", "environb", "getenv"}) or "pydantic_settings" in imported_modules(path)
