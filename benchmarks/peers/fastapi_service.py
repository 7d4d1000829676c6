"""Recommendations as tutorials write them: FastAPI, a model of implicit in memory, Redis for the items and as a cache.

    MODEL=shop/model REDIS_URL=redis://127.0.0.1:6379 uvicorn benchmarks.peers.fastapi_service:app

The folder MODEL holds ``model.npz`` (the saved model), ``purchases.npz`` (customers by items) and ``ids.json``. Redis
holds each item as JSON under ``item:<item id>``.
"""

import json
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import redis.asyncio
from fastapi import FastAPI, HTTPException, Query, Response

from benchmarks.peers.recommender import Recommender

CACHE_SECONDS = 3600


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.recommender = Recommender(Path(os.environ["MODEL"]))
    async with redis.asyncio.from_url(os.environ["REDIS_URL"]) as connection:
        app.state.redis = connection
        yield


app = FastAPI(lifespan=_lifespan)


@app.get("/customers/{customer_id}/recommendations")
async def recommend(customer_id: str, count: Annotated[int, Query(ge=1, le=100)] = 10) -> Response:
    """Recommend items to a customer; 404 for one that the model does not know."""
    key = f"recommendations:{customer_id}:{count}"
    body = await app.state.redis.get(key)
    if body is None:
        try:
            best = app.state.recommender.recommend(customer_id, count)
        except KeyError:
            raise HTTPException(404, "unknown customer") from None
        body = json.dumps(await _described(best)).encode()
        await app.state.redis.set(key, body, ex=CACHE_SECONDS)
    return Response(body, media_type="application/json")


async def _described(best: Sequence[tuple[int, float]]) -> list[dict[str, Any]]:
    """Put what the shop tells of each item beside its score; an item that is gone is left out."""
    item_ids = [app.state.recommender.item_ids[column] for column, _ in best]
    stored = await app.state.redis.mget([f"item:{item_id}" for item_id in item_ids])
    return [
        {"item_id": item_id, "score": score, **json.loads(item)}
        for item_id, (_, score), item in zip(item_ids, best, stored, strict=True)
        if item is not None
    ]
