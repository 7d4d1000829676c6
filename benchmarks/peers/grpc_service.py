"""Recommendations from a plain grpc.aio service that asks implicit for every request and keeps all it needs in memory.

    python -m benchmarks.peers.grpc_service shop/model 127.0.0.1:50051

The folder holds ``model.npz`` (the saved model), ``purchases.npz`` (customers by items), ``ids.json`` and
``items.json``. The service speaks Dangol's contract and fills what it knows of it: items, scores, ranks, prices.
"""

import json
import sys
from pathlib import Path

import grpc.aio
import uvloop

from benchmarks.peers.recommender import Recommender
from dangol.v1.catalog_pb2 import Money
from dangol.v1.offer_service_pb2 import RankedOffer, RecommendOffersRequest, RecommendOffersResponse, Slate, Terms

_PAGE_SIZE = 10
_Context = grpc.aio.ServicerContext[RecommendOffersRequest, RecommendOffersResponse]


class OfferService:
    """Answers RecommendOffers."""

    def __init__(self, folder: Path) -> None:
        self._recommender = Recommender(folder)
        self._item_ids = self._recommender.item_ids
        items = json.loads((folder / "items.json").read_text())
        self._titles: list[str] = [items[item_id]["title"] for item_id in self._item_ids]
        prices = [
            Money(minor_units=items[id_]["price"], currency_code=items[id_]["currency"]) for id_ in self._item_ids
        ]
        self._terms = [Terms(price=price) for price in prices]

    async def recommend(self, request: RecommendOffersRequest, context: _Context) -> RecommendOffersResponse:
        """Recommend the best items that the customer has not bought."""
        try:
            best = self._recommender.recommend(request.customer_id, request.page_size or _PAGE_SIZE)
        except KeyError:
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown customer")
        offers = [self._offer(rank, column, score) for rank, (column, score) in enumerate(best, 1)]
        return RecommendOffersResponse(slates=[Slate(placement=request.placements[0], offers=offers)])

    def _offer(self, rank: int, column: int, score: float) -> RankedOffer:
        item_id, title, terms = self._item_ids[column], self._titles[column], self._terms[column]
        return RankedOffer(rank=rank, item_id=item_id, title=title, item_title=title, score=score, terms=terms)


async def _serve(folder: Path, address: str) -> None:
    method = grpc.unary_unary_rpc_method_handler(
        OfferService(folder).recommend,
        request_deserializer=RecommendOffersRequest.FromString,
        response_serializer=RecommendOffersResponse.SerializeToString,
    )
    service = grpc.method_handlers_generic_handler("dangol.v1.OfferService", {"RecommendOffers": method})
    server = grpc.aio.server(handlers=[service])
    server.add_insecure_port(address)
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(_serve(Path(sys.argv[1]), sys.argv[2]))
