"""Search spaces as immutable values, free of torch."""

from __future__ import annotations

from typing import Any

from nas_lightning.errors import UserError
from nas_lightning.spaces.base import ArchitectureError, Space
from nas_lightning.spaces.darts import DartsArchitecture, DartsSpace
from nas_lightning.spaces.nasbench101 import NB101Architecture, NB101Space
from nas_lightning.spaces.nasbench201 import NB201Architecture, NB201Space

__all__ = [
    "SPACES",
    "ArchitectureError",
    "DartsArchitecture",
    "DartsSpace",
    "NB101Architecture",
    "NB101Space",
    "NB201Architecture",
    "NB201Space",
    "Space",
    "get_space",
]

_CLASSES: dict[str, type[Space[Any]]] = {
    "nasbench101": NB101Space,
    "nasbench201": NB201Space,
    "darts_nds": DartsSpace,
}
SPACES: tuple[str, ...] = tuple(_CLASSES)


def get_space(name: str) -> Space[Any]:
    """The search space of this name ("darts" is read as "darts_nds"). Raises ValueError listing the names."""
    try:
        return _CLASSES["darts_nds" if name == "darts" else name]()
    except KeyError:
        raise UserError(f"{name!r} is no search space; choose one of {', '.join(SPACES)}") from None
