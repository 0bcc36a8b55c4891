"""TransNAS-Bench-101, macro level: 3,256 stacks of four to six modules. A table, no network.

Duan, Chen, Xu, Chen, Liang, Zhang, Li, "TransNAS-Bench-101: Improving Transferability and Generalizability of
Cross-Task Neural Architecture Search", CVPR 2021, arXiv 2105.11871. A digit a module: 1 plain, 2 doubles the channels,
3 halves the resolution, 4 does both; channels are doubled one to three times, the resolution is halved one to four
times, which is exactly the published set.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any, ClassVar

import numpy as np

from nas_lightning.spaces.base import Space
from nas_lightning.spaces.errors import ArchitectureError
from nas_lightning.spaces.reading import listed, literal, shortened, whole

OPERATIONS = ("plain", "wider", "smaller", "wider_and_smaller")
SHORTEST, LONGEST = 4, 6


@dataclass(frozen=True, slots=True, order=True)
class Stack:
    """The types of the modules, 1 to 4, in their order."""

    modules: tuple[int, ...]

    def __post_init__(self) -> None:
        modules = self.modules
        if type(modules) is not tuple or not SHORTEST <= len(modules) <= LONGEST:
            raise ArchitectureError(f"a Stack is a tuple of {SHORTEST} to {LONGEST} modules, not {shortened(modules)}")
        if any(type(kind) is not int or not 1 <= kind <= 4 for kind in modules):
            raise ArchitectureError(f"{shortened(modules)} is no Stack; the modules are numbers from 1 to 4")
        wider, smaller = sum(kind in (2, 4) for kind in modules), sum(kind in (3, 4) for kind in modules)
        if not 1 <= wider <= 3 or not 1 <= smaller <= 4:
            raise ArchitectureError(
                f"{self} doubles the channels {wider} times and halves the resolution {smaller} times; the space has "
                "1 to 3 and 1 to 4"
            )

    def __str__(self) -> str:
        return "".join(map(str, self.modules))


class TransMacroSpace(Space[Stack]):
    """No two stacks are isomorphic. A genome has six genes, 0 where there is no module."""

    name: ClassVar[str] = "transnasbench101_macro"
    operations: ClassVar[tuple[str, ...]] = OPERATIONS
    cardinalities: ClassVar[tuple[int, ...]] = (5,) * LONGEST
    size: ClassVar[int] = 3256
    unique_size: ClassVar[int | None] = 3256
    architecture_type: ClassVar[type] = Stack
    published: ClassVar[Mapping[str, int]] = {"channels": 64, "layers": 6}

    def parse(self, text: Any) -> Stack:
        """Reads digits (``1243``), or a list or tuple of them, as text, too; zeros at the end are no modules."""
        if isinstance(text, Stack):
            return text
        parts = listed(text)
        if parts is None and isinstance(text, str):
            plain = text.strip()
            if plain.isascii() and plain.isdigit():
                parts = [int(digit) for digit in plain]
            elif plain[:1] in ("(", "["):
                parts = listed(literal(plain))
        if parts is None:
            raise ArchitectureError(f"{shortened(text)} is no architecture of {self.name}; expected digits as 111243")
        return self.decode(parts)

    def canonical(self, arch: Stack) -> Stack:
        return arch

    def key(self, arch: Stack) -> str:
        return str(arch)

    def members(self, arch: Stack) -> list[Stack]:
        return [arch]

    def sample(self, rng: np.random.Generator) -> Stack:
        return _all()[rng.integers(self.size)]

    def sample_unique(self, rng: np.random.Generator) -> Stack:
        return self.sample(rng)

    def neighbours(self, arch: Stack) -> list[Stack]:
        """Another type of one module, the last module away, or a further one."""
        own = arch.modules
        changed = [(*own[:i], kind, *own[i + 1 :]) for i in range(len(own)) for kind in range(1, 5) if kind != own[i]]
        longer = [(*own, kind) for kind in range(1, 5)]
        return [made for modules in (*changed, own[:-1], *longer) if (made := _valid(modules)) is not None]

    def mutate(self, arch: Stack, rng: np.random.Generator) -> Stack:
        around = self.neighbours(arch)
        return around[rng.integers(len(around))]

    def encode(self, arch: Stack) -> np.ndarray:
        return np.array([*arch.modules, *[0] * (LONGEST - len(arch.modules))], np.int64)

    def decode(self, genome: Sequence[Any] | np.ndarray) -> Stack:
        modules = [whole(gene, f"a module of {self.name}") for gene in genome]
        while modules and modules[-1] == 0:
            modules.pop()
        return Stack(tuple(modules))

    def smallest(self) -> list[Stack]:
        """The stacks that are none without their last module; all others grow from them, module by module."""
        return [stack for stack in _all() if _valid(stack.modules[:-1]) is None]

    def operation_counts(self, arch: Stack) -> np.ndarray:
        return np.bincount(arch.modules, minlength=5)[1:].astype(np.int64)

    def depth(self, arch: Stack) -> int:
        """Modules."""
        return len(arch.modules)

    def enumerate(self) -> Iterator[Stack]:
        """Longer stacks later, in lexicographic order."""
        return iter(_all())


def _valid(modules: tuple[int, ...]) -> Stack | None:
    try:
        return Stack(modules)
    except ArchitectureError:
        return None


@lru_cache(maxsize=1)
def _all() -> tuple[Stack, ...]:
    lengths = range(SHORTEST, LONGEST + 1)
    tried = (_valid(modules) for length in lengths for modules in product(range(1, 5), repeat=length))
    return tuple(stack for stack in tried if stack is not None)
