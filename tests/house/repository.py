"""Where the repository is, what is committed in it, and what its documentation shows."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("cli", "dangol", "models", "service", "training")


def committed_files() -> list[Path]:
    """Give every file that git knows or would take, as paths from the root."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    names = (name for name in listed.split("\0") if name)
    return [Path(name) for name in names if (ROOT / name).is_file()]


def documents() -> list[Path]:
    """Give every page that a person reads, as paths from the root."""
    return [path for path in committed_files() if path.suffix == ".md"]


def code_blocks(page: Path) -> list[tuple[str, str]]:
    """Give the fenced blocks of a page as (language, content)."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(r"^ *```(\w*)\n(.*?)^ *```", text, flags=re.MULTILINE | re.DOTALL)


def code_spans(page: Path) -> list[str]:
    """Give what stands between single backticks in a page, outside of its fenced blocks."""
    text = (ROOT / page).read_text(encoding="utf-8")
    prose = re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"`([^`\n]+)`", prose)


def shell_lines(page: Path) -> list[str]:
    """Give the commands that a page asks somebody to type, continued lines joined and comments left out."""
    blocks = [content for language, content in code_blocks(page) if language in ("sh", "bash", "shell", "console")]
    joined = "\n".join(blocks).replace("\\\n", " ")
    stripped = (line.strip().removeprefix("$ ").split(" # ")[0].strip() for line in joined.splitlines())
    return [line for line in stripped if line and not line.startswith("#")]


def make_targets() -> set[str]:
    """Give the targets that the Makefile describes."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z][a-z-]*):.*## ", text, flags=re.MULTILINE))
