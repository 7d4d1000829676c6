from pathlib import Path

import pytest

from models.errors import InvalidInputError
from training.config import TrainingConfiguration, load_configuration, load_mapping


def test_a_configuration_adds_to_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "training.toml"
    path.write_text(
        "seed = 7\nuntil = 2025-01-01T00:00:00\n[events.wishlist]\nweight = 0.3\nhalf_life_days = 60\n"
        "[factors]\nfactors = 32\n"
    )
    configuration = load_configuration(path)
    assert configuration.until is not None
    assert configuration.until.isoformat() == "2025-01-01T00:00:00+00:00"
    assert configuration.factors.factors == 32
    assert configuration.event_weights()["wishlist"].weight == 0.3
    assert configuration.event_weights()["purchase"].weight == 1.0


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("list_size = 0", "list_size"),
        ("lst_size = 5", "lst_size"),
        ("[events.view]\nweight = nan", "events.view.weight"),
        ("[events.view]\nweight = 1\nhalf_life_days = 0", "events.view.half_life_days"),
        ("[factors]\nfactors = 'many'", "factors.factors"),
        ("target = 'daydream'", "daydream"),
        ("seed =", "is not TOML"),
    ],
)
def test_a_faulty_configuration_is_refused_by_file_and_field(tmp_path: Path, text: str, field: str) -> None:
    path = tmp_path / "training.toml"
    path.write_text(text)
    with pytest.raises(InvalidInputError) as caught:
        load_configuration(path)
    assert str(path) in str(caught.value)
    assert field in str(caught.value)


@pytest.mark.parametrize(
    ("text", "field"),
    [("customer = ''", "customer"), ("time_zone = 'Mars/Olympus'", "time_zone"), ("itm = 'x'", "itm")],
)
def test_a_faulty_mapping_is_refused_by_file_and_field(tmp_path: Path, text: str, field: str) -> None:
    path = tmp_path / "mapping.toml"
    path.write_text(text)
    with pytest.raises(InvalidInputError, match=field):
        load_mapping(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="nothing.toml"):
        load_mapping(tmp_path / "nothing.toml")


def test_resources_do_not_enter_the_manifest() -> None:
    assert "resources" not in TrainingConfiguration().for_manifest()
