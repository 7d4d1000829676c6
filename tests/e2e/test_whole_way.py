import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dangol.client import Client, ServerUnavailableError
from models.registry import Registry
from tests.e2e.processes import dangol, mentioning, serving, wait_until
from tests.shop import customer_name, item_name, write_events

CUSTOMER = customer_name(1)


@pytest.fixture(scope="module")
def trained_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a home whose registry and Redis hold a model of the tiny shop."""
    home = tmp_path_factory.mktemp("home")
    source = write_events(home / "events.parquet")
    [result] = dangol(home, "train", source)
    [published] = dangol(home, "publish")
    assert published["model_version"] == result["model_version"] == Registry(home / "models").current()
    return home


def write_jsonl(path: Path, documents: Sequence[Mapping[str, object]]) -> Path:
    path.write_text("".join(json.dumps(document) + "\n" for document in documents))
    return path


@pytest.mark.xdist_group("whole-way")
def test_purchases_become_offers_and_the_next_purchase_changes_them(trained_home: Path, tmp_path: Path) -> None:
    items = [
        {"item_id": item_name(number), "title": f"Item {number}", "price": {"minor_units": 500, "currency_code": "EUR"}}
        for number in range(40)
    ]
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    offers = [
        {
            "offer_id": f"offer-{number}",
            "item_ids": [item_name(number)],
            "discount": {"off_basis_points": 2_000},
            "end_time": tomorrow,
        }
        for number in range(40)
    ]
    placements = [{"placement": "home-top", "size": 6, "plain_items": "PLAIN_ITEMS_REFUSED"}]
    with serving(trained_home) as address:
        where = ("--address", address)
        for kind, documents in (("items", items), ("offers", offers), ("placements", placements)):
            file = write_jsonl(tmp_path / f"{kind}.jsonl", documents)
            assert dangol(trained_home, kind, "upsert", file, *where)[0]["stored"] == len(documents)
        with Client(address, timeout=5.0) as client:
            wait_until(lambda: len(list(client.list_offers())) == 40)
            before = client.recommend_offers(CUSTOMER, "home-top", explain=True)
            slate = before.slates[0].offers
            assert len(slate) == 6
            assert [offer.terms.discounted_price.minor_units for offer in slate] == [400] * 6
            assert all(offer.offer_id == f"offer-{int(offer.item_id[-4:])}" for offer in slate)
            assert sum(int(offer.item_id[-4:]) % 4 == 1 for offer in slate) >= 5, "the taste of the customer"
            bought = slate[0].item_id

            [counts] = dangol(trained_home, "record", CUSTOMER, "purchase", bought, "--event-id", "visit-1", *where)
            assert counts == {"recorded_count": 1, "duplicate_count": 0}
            after = client.recommend_offers(CUSTOMER, "home-top")
            assert bought not in [offer.item_id for offer in after.slates[0].offers]

            [again] = dangol(trained_home, "record", CUSTOMER, "purchase", bought, "--event-id", "visit-1", *where)
            assert again == {"recorded_count": 0, "duplicate_count": 1}
            assert client.get_served_model().generation.model_version == before.served.model_version
        assert mentioning(trained_home)
    with Client(address, timeout=0.5) as client, pytest.raises(ServerUnavailableError):
        client.serving()


@pytest.mark.xdist_group("whole-way")
def test_what_an_export_wrote_fills_an_emptied_redis(trained_home: Path, tmp_path: Path) -> None:
    with serving(trained_home) as address:
        file = write_jsonl(tmp_path / "placements.jsonl", [{"placement": "kept", "size": 3}])
        dangol(trained_home, "placements", "upsert", file, "--address", address)
        dangol(trained_home, "record", CUSTOMER, "purchase", item_name(1), "--event-id", "v-9", "--address", address)
        dangol(trained_home, "catalog", "export")
        dangol(trained_home, "events", "export")
    (trained_home / "redis").rename(tmp_path / "lost")
    [rebuilt] = dangol(trained_home, "rebuild")
    assert rebuilt["generation"]
    with serving(trained_home) as address, Client(address, timeout=5.0) as client:
        wait_until(client.serving)
        offered = client.recommend_offers(CUSTOMER, "kept").slates[0].offers
        assert len(offered) == 3
        assert item_name(1) not in [offer.item_id for offer in offered]


@pytest.mark.xdist_group("whole-way")
def test_a_roll_back_brings_the_earlier_model_back(trained_home: Path) -> None:
    first = Registry(trained_home / "models").current()
    [second] = dangol(trained_home, "train", trained_home / "events.parquet", "--seed", 7)
    dangol(trained_home, "publish")
    with serving(trained_home) as address, Client(address, timeout=5.0) as client:
        wait_until(client.serving)
        assert client.get_served_model().generation.model_version == second["model_version"]
        assert dangol(trained_home, "rollback")[0]["model_version"] == first
        wait_until(lambda: client.get_served_model().generation.model_version == first)
    assert Registry(trained_home / "models").current() == first
