"""Content: items that share words with those of a history, whoever bought them."""

import numpy as np
from scipy.sparse import csr_matrix

from training.sources.item_weights import ItemWeights, keep_largest

_NEIGHBORS = 100
_COMMONEST = 0.5
"""Part of the items beyond which a word tells nothing apart."""


def learn_content(words: csr_matrix) -> ItemWeights:
    """Weigh items by the cosine of their words, rare words weighing more (as idf, Spärck Jones 1972).

    ``words`` (items, words) is 1 where an item has a word. Nobody's history is asked, so that an item counts from its
    first day.
    """
    holders = np.bincount(words.indices, minlength=words.shape[1])
    rarity = np.log((words.shape[0] + 1) / (holders + 0.5)) * (holders <= _COMMONEST * words.shape[0])
    data = words.data * rarity[words.indices]
    owners = np.repeat(np.arange(words.shape[0]), np.diff(words.indptr))
    lengths = np.sqrt(np.bincount(owners, data * data, words.shape[0]))
    data = (data / np.maximum(lengths[owners], 1e-12)).astype(np.float32)
    weighed = csr_matrix((data, words.indices, words.indptr), shape=words.shape)
    weighed.eliminate_zeros()
    return ItemWeights(keep_largest((weighed @ weighed.T).tocsr(), _NEIGHBORS))
