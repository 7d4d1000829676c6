from pathlib import Path

import pytest

from models.errors import InvalidInputError
from service.settings import Settings, read_settings, split_address
from tests.handlers.settings_table import PAGE, page_with_table


def test_the_page_on_operations_tells_every_setting() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == page_with_table(page), "run python -m tests.handlers.settings_table"
    assert all(setting.description for setting in Settings.model_fields.values())


def test_what_is_given_counts_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DANGOL_READ_TIMEOUT", "0.5")
    monkeypatch.setenv("DANGOL_TENANT", "books")
    settings = read_settings(read_timeout=0.1)
    assert (settings.read_timeout, settings.tenant) == (0.1, "books")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("listen", "nowhere"),
        ("listen", "127.0.0.1:70000"),
        ("metrics_listen", "7412"),
        ("tenant", "Two Words"),
        ("read_timeout", 0),
        ("maximal_calls", 0),
        ("log_level", "loud"),
        ("made_up", 1),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(name: str, value: object) -> None:
    with pytest.raises(InvalidInputError) as caught:
        read_settings(**{name: value})
    assert caught.value.field.startswith(name)


def test_an_event_type_of_the_shop_is_kebab_case() -> None:
    assert read_settings(extra_event_types=("store-visit",)).extra_event_types == ("store-visit",)
    with pytest.raises(InvalidInputError, match="Store Visit"):
        read_settings(extra_event_types=("Store Visit",))


def test_the_registry_is_beside_the_private_redis_where_there_is_one(tmp_path: Path) -> None:
    assert read_settings(home=tmp_path).registry_directory is None
    (tmp_path / "models").mkdir()
    assert read_settings(home=tmp_path).registry_directory == tmp_path / "models"
    assert read_settings(home=tmp_path, registry=tmp_path / "x").registry_directory == tmp_path / "x"


def test_addresses_are_taken_apart_at_the_last_colon() -> None:
    assert split_address("127.0.0.1:0") == ("127.0.0.1", 0)
    assert split_address("[::1]:7411") == ("[::1]", 7411)
