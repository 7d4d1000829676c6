"""Products of sparse matrices: what is cheaper may not change what comes out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix, random_array

from training.sources.products import product


def some(rows: int, columns: int, density: float, seed: int) -> csr_matrix:
    drawn = random_array((rows, columns), density=density, dtype=np.float32, rng=np.random.default_rng(seed))
    matrix = csr_matrix(drawn)
    matrix.sort_indices()
    return matrix


@given(st.integers(0, 12), st.floats(0, 1), st.floats(0, 1), st.integers(0, 1_000))
def test_a_product_is_that_of_the_dense_matrices(rows: int, left: float, right: float, seed: int) -> None:
    first, second = some(rows, 30, left, seed), some(30, 20, right, seed + 1)
    found = product(first, second)
    assert found.dtype == np.float32
    assert found == pytest.approx(first.toarray() @ second.toarray(), rel=1e-5)


@given(st.floats(0, 1), st.integers(0, 1_000))
def test_a_row_has_the_same_bytes_alone(density: float, seed: int) -> None:
    crowded, weights = some(40, 30, density, seed), some(30, 500, 0.5, seed + 1)
    lonely = csr_matrix(crowded[[7]])
    assert product(lonely, weights)[0].tobytes() == product(crowded, weights)[7].tobytes()
