"""Feature maps that architectures of one evaluation batch have in common, kept for a while.

The first cell of a network reads the stem's output, which is the same for every architecture; what its first edges
give, depends on their own operations alone. With few cells that is most of the work.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable

from torch import Tensor

LIMIT_BYTES = 512 * 2**20


class Prefix:
    """The least recently used feature maps go first once more than `limit` bytes are held.

    Valid for one batch of images, one set of weights and one kind of batch-norm statistics: `clear` in between.
    """

    def __init__(self, limit: int = LIMIT_BYTES) -> None:
        self.limit, self.held = limit, 0
        self.maps: OrderedDict[Hashable, Tensor] = OrderedDict()

    def get(self, key: Hashable, compute: Callable[[], Tensor]) -> Tensor:
        """The tensor of `key`, computed where it is not held. Nobody may write into it."""
        found = self.maps.get(key)
        if found is not None:
            self.maps.move_to_end(key)
            return found
        found = compute()
        self.maps[key] = found
        self.held += found.nbytes
        while self.held > self.limit:
            _, dropped = self.maps.popitem(last=False)
            self.held -= dropped.nbytes
        return found

    def clear(self) -> None:
        self.maps.clear()
        self.held = 0
