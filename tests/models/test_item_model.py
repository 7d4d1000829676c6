import dataclasses

import numpy as np
import pytest

from models.candidates import CANDIDATE
from models.errors import ArtifactError
from models.item_model import ItemModel, decode_item_model, encode_item_model
from tests.models.samples import small_item_model


def test_an_item_model_encoded_and_decoded_is_the_same() -> None:
    model = small_item_model()
    again = decode_item_model(encode_item_model(model))
    assert list(again.vocabulary) == list(model.vocabulary)
    assert again.popularity.tolist() == model.popularity.tolist()
    assert again.neighbors_of(1)[0].tolist() == [0, 3]
    assert {name: rows.tolist() for name, rows in again.shared_lists.items()} == {
        name: rows.tolist() for name, rows in model.shared_lists.items()
    }


@pytest.mark.parametrize(
    "broken",
    [
        dataclasses.replace(small_item_model(), popularity=np.ones(3, dtype=np.float32)),
        dataclasses.replace(small_item_model(), popularity=np.full(4, np.nan, dtype=np.float32)),
        dataclasses.replace(small_item_model(), neighbor_counts=np.full(4, 3, dtype=np.uint16)),
        dataclasses.replace(small_item_model(), neighbor_rows=np.full((4, 2), 4, dtype=np.uint32)),
        dataclasses.replace(small_item_model(), shared_lists={}),
        dataclasses.replace(small_item_model(), shared_lists={"": np.array([(9, 1, 1, 0)], dtype=CANDIDATE)}),
    ],
    ids=["length", "not-finite", "count", "row", "no-list-for-everyone", "list-row"],
)
def test_an_item_model_that_cannot_be_is_refused(broken: ItemModel) -> None:
    with pytest.raises(ArtifactError, match=r"items\.npz"):
        decode_item_model(encode_item_model(broken))


@pytest.mark.parametrize("content", [b"", b"PK", b"\x93NUMPY", encode_item_model(small_item_model())[:-30]])
def test_bytes_that_are_no_item_model_are_refused(content: bytes) -> None:
    with pytest.raises(ArtifactError, match=r"items\.npz"):
        decode_item_model(content)
