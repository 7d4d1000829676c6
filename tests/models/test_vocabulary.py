import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import InvalidInputError
from models.vocabulary import Vocabulary, pack_ids, unpack_ids

IDS = st.lists(st.text(st.characters(exclude_categories=["Cs"])), unique=True)


@given(IDS)
def test_ids_packed_and_unpacked_are_the_same(ids: list[str]) -> None:
    assert unpack_ids(*pack_ids(ids)) == ids


@given(IDS)
def test_every_id_has_a_row_of_its_own(ids: list[str]) -> None:
    vocabulary = Vocabulary(ids)
    assert [vocabulary.row_of(id_) for id_ in vocabulary] == list(range(len(ids)))
    assert [vocabulary.id_of(row) for row in range(len(vocabulary))] == ids


def test_an_unknown_id_has_no_row() -> None:
    assert Vocabulary(["a"]).row_of("b") is None


def test_an_id_that_stands_twice_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="twice"):
        Vocabulary(["a", "a"])


@pytest.mark.parametrize("offsets", [[], [1, 2], [0, 3], [0, 2, 1, 2]])
def test_offsets_that_do_not_fit_are_refused(offsets: list[int]) -> None:
    with pytest.raises(InvalidInputError, match="offsets"):
        unpack_ids(np.frombuffer(b"ab", dtype=np.uint8), np.array(offsets, dtype=np.int64))


def test_bytes_that_are_not_text_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="UTF-8"):
        unpack_ids(np.array([255], dtype=np.uint8), np.array([0, 1], dtype=np.int64))


def test_a_vocabulary_that_shares_texts_is_equal_and_keeps_none_of_its_own() -> None:
    known = "".join(["item-", "1"])
    sharing = Vocabulary(["".join(["item-", "1"]), "item-2"]).sharing([known, "item-3"])
    assert list(sharing) == ["item-1", "item-2"]
    assert sharing.id_of(0) is known
    assert sharing.row_of("item-2") == 1
