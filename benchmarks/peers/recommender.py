"""What both peers hold in memory: a model of implicit, who bought what, and the names of rows and columns."""

import json
from pathlib import Path

from implicit.cpu.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix, load_npz


class Recommender:
    """Scores all items for a customer at every question. ``item_ids`` names the columns."""

    def __init__(self, folder: Path) -> None:
        """Load ``model.npz`` (the saved model), ``purchases.npz`` (customers by items) and ``ids.json``."""
        self._model = AlternatingLeastSquares.load(str(folder / "model.npz"))
        self._purchases = csr_matrix(load_npz(folder / "purchases.npz"))
        ids = json.loads((folder / "ids.json").read_text())
        self._rows = {customer_id: row for row, customer_id in enumerate(ids["customers"])}
        self.item_ids: list[str] = ids["items"]

    def recommend(self, customer_id: str, count: int) -> list[tuple[int, float]]:
        """Give the columns of the best items not bought yet, with their scores. KeyError for an unknown customer."""
        row = self._rows[customer_id]
        columns, scores = self._model.recommend(row, self._purchases[row], N=count, filter_already_liked_items=True)
        return list(zip(columns.tolist(), scores.tolist(), strict=True))
