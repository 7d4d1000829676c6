from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.artifact import encode_lists, read_lists
from models.errors import ArtifactError
from models.outlook import OUTLOOK, SEGMENTS, Outlook, pack_outlooks, segment_of, unpack_outlook
from tests.models.samples import small_table

SCORES = st.integers(1, 5)


def packed(*values: float) -> int:
    return int(pack_outlooks(np.array([values], OUTLOOK))[0])


@given(
    scores=st.tuples(SCORES, SCORES, SCORES),
    risk=st.floats(0, 1, width=32),
    value=st.floats(0.0625, 1e8, width=32),
    days=st.integers(-127, 383),
)
def test_an_outlook_comes_back_within_its_steps(
    scores: tuple[int, int, int], risk: float, value: float, days: int
) -> None:
    found = unpack_outlook(packed(*scores, risk, value, days))
    assert found is not None
    assert (found.recency, found.frequency, found.monetary, found.purchase_days) == (*scores, days)
    assert found.churn_risk == pytest.approx(risk, abs=0.5 / 63 + 1e-6)
    assert found.value == pytest.approx(value, rel=0.011)


def test_what_is_beyond_a_range_becomes_its_end() -> None:
    assert unpack_outlook(packed(1, 1, 1, 2.0, 0.0, 1e6)) == Outlook(1, 1, 1, 1.0, 0.0, 383)
    assert unpack_outlook(packed(5, 5, 5, -1.0, 0.001, -1e6)) == Outlook(5, 5, 5, 0.0, 0.0, -127)


def test_whoever_bought_nothing_has_none() -> None:
    assert packed(0, 0, 0, 0, 0, 0) == 0
    assert unpack_outlook(0) is None


@given(number=st.integers(0, 2**32 - 1))
def test_any_32_bits_are_an_outlook_or_none(number: int) -> None:
    found = unpack_outlook(number)
    assert found is None or found.segment in SEGMENTS


def test_who_bought_lately_and_often_is_a_champion_and_who_did_neither_is_lost() -> None:
    assert (segment_of(5, 5), segment_of(5, 3), segment_of(5, 1)) == ("champions", "loyal", "promising")
    assert (segment_of(3, 3), segment_of(3, 2)) == ("steady", "fading")
    assert (segment_of(1, 3), segment_of(2, 2)) == ("at-risk", "lost")


def test_outlooks_stay_with_the_customers_that_are_kept(tmp_path: Path) -> None:
    outlooks = np.array([(1, 1, 1, 0, 0, 0), (2, 2, 2, 0, 0, 0), (0, 0, 0, 0, 0, 0)], OUTLOOK)
    table = replace(small_table(), outlooks=outlooks).only(np.array([False, True, True]))
    (tmp_path / "lists.npz").write_bytes(encode_lists(table))
    read = read_lists(tmp_path / "lists.npz", 4)
    assert read.outlooks is not None
    assert read.outlooks.tolist() == outlooks[1:].tolist()


@pytest.mark.parametrize(
    "bad",
    [(6, 1, 1, 0, 0, 0), (0, 1, 1, 0, 0, 0), (1, 1, 1, np.nan, 0, 0), (1, 1, 1, 0, -1, 0), (1, 1, 1, 0, 0, np.inf)],
)
def test_an_outlook_that_cannot_be_is_refused(tmp_path: Path, bad: tuple[float, ...]) -> None:
    table = replace(small_table(), outlooks=np.array([bad] * 3, OUTLOOK))
    (tmp_path / "lists.npz").write_bytes(encode_lists(table))
    with pytest.raises(ArtifactError, match="its outlooks cannot be"):
        read_lists(tmp_path / "lists.npz", 4)
