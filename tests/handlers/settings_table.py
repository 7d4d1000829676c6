"""Writes the table of settings into docs/operations.md: ``python -m tests.handlers.settings_table``."""

from pathlib import Path
from typing import get_args

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from service.settings import Settings

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
BEGIN = "<!-- settings: written by `python -m tests.handlers.settings_table` -->\n"
END = "<!-- end of settings -->\n"


def settings_table() -> str:
    """Give the table as Markdown, one line for each setting."""
    lines = ["| variable | default | what it says |\n", "| --- | --- | --- |\n"]
    for name, setting in Settings.model_fields.items():
        lines.append(f"| `DANGOL_{name.upper()}` | {_default(setting)} | {_description(setting)} |\n")
    return "".join(lines)


def page_with_table(page: str) -> str:
    """Give the page with the table as it should be."""
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{settings_table()}\n{END}{after}"


def _default(setting: FieldInfo) -> str:
    value = setting.default
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if value is None or value in ("", ()):
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _description(setting: FieldInfo) -> str:
    choices = [choice for choice in get_args(setting.annotation) if isinstance(choice, str)]
    listed = f": {', '.join(f'`{choice}`' for choice in choices)}" if len(choices) > 1 else ""
    return f"{setting.description}{listed}"


if __name__ == "__main__":
    PAGE.write_text(page_with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
