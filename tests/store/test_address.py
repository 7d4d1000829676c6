import pytest

from models.errors import InvalidInputError
from service.store.address import Address, Topology, parse_address


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://shop", Address(Topology.SINGLE, (("shop", 6379),))),
        ("redis://shop:7000/3", Address(Topology.SINGLE, (("shop", 7000),), database=3)),
        ("redis://[::1]:7000", Address(Topology.SINGLE, (("::1", 7000),))),
        ("unix:///run/a%20b.sock", Address(Topology.SINGLE, socket_path="/run/a b.sock")),
        (
            "rediss://anna:p%40ss@shop",
            Address(Topology.SINGLE, (("shop", 6379),), encrypted=True, username="anna", password="p@ss"),
        ),
        (
            "redis+sentinel://a,b:27000/mymaster/2",
            Address(Topology.SENTINEL, (("a", 26379), ("b", 27000)), database=2, service_name="mymaster"),
        ),
        ("rediss+cluster://a:1,b:2", Address(Topology.CLUSTER, (("a", 1), ("b", 2)), encrypted=True)),
    ],
)
def test_a_url_names_where_redis_is(url: str, expected: Address) -> None:
    assert parse_address(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://shop:secret@shop",
        "redis://",
        "redis://:secret@",
        "redis://secret@a,b",
        "redis://shop:port",
        "redis://shop/secret",
        "redis://[::1",
        "unix://",
        "unix://secret/run/redis.sock",
        "redis+sentinel://a",
        "redis+cluster://secret:secret@a/1",
    ],
)
def test_a_url_that_cannot_be_used_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_address(url)
    assert caught.value.field == "redis_url"
    assert "secret" not in str(caught.value)


def test_the_description_of_an_address_keeps_the_password_to_itself() -> None:
    assert str(parse_address("rediss://anna:secret@shop:7")) == "single Redis at shop:7 over TLS"
