import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import InvalidInputError
from service.handlers.pages import page_of

RECORDS = {id_: id_.upper() for id_ in ("b", "a", "d", "c", "e")}


@given(records=st.dictionaries(st.text(min_size=1), st.integers()), size=st.integers(1, 5))
def test_pages_together_hold_every_record_once_in_order(records: dict[str, int], size: int) -> None:
    found: list[int] = []
    token = ""
    while True:
        page, token = page_of(records, size, token, "items")
        assert len(page) <= size
        found += page
        if not token:
            break
    assert found == [records[id_] for id_ in sorted(records)]


def test_a_record_deleted_between_pages_disturbs_no_other() -> None:
    first, token = page_of(RECORDS, 2, "", "items")
    remaining = {id_: value for id_, value in RECORDS.items() if id_ not in ("b", "c")}
    second, end = page_of(remaining, 2, token, "items")
    assert (first, second, end) == (["A", "B"], ["D", "E"], "")


@pytest.mark.parametrize("token", ["x", "####", "aXRlbXM", "\x00", "b2ZmZXJzOmE="])
def test_a_token_that_is_not_of_this_list_is_refused(token: str) -> None:
    with pytest.raises(InvalidInputError, match="page_token"):
        page_of(RECORDS, 2, token, "items")
