import numpy as np
import pytest

from training.calibration import calibration


def test_probabilities_that_mean_what_they_say_have_little_error() -> None:
    randomness = np.random.default_rng(1)
    chances = randomness.random(50_000).astype(np.float32)
    found = calibration(chances, randomness.random(50_000) < chances)
    assert found["error"] < 0.01
    assert found["brier"] < found["base"]
    assert sum(entry["count"] for entry in found["bins"]) == 50_000


def test_probabilities_twice_too_high_are_found_out() -> None:
    chances = np.full(1_000, 0.8, dtype=np.float32)
    found = calibration(chances, np.arange(1_000) % 10 < 4)
    assert found["error"] == pytest.approx(0.4, abs=1e-6)
    assert found["bins"][0]["said"] == pytest.approx(0.8)


def test_no_candidates_say_nothing() -> None:
    assert calibration(np.empty(0, dtype=np.float32), np.empty(0, dtype=bool)) == {}
