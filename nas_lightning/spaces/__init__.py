"""Search spaces as immutable values, free of torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nas_lightning.spaces.base import Space
from nas_lightning.spaces.darts_nds import DartsArchitecture, DartsSpace
from nas_lightning.spaces.errors import ArchitectureError, SpaceError
from nas_lightning.spaces.find import configured, get_space, packaged, space_in_file, target_of
from nas_lightning.spaces.nasbench101 import NB101Architecture, NB101Space
from nas_lightning.spaces.nasbench201 import NB201Architecture, NB201Space

if TYPE_CHECKING:
    SPACES: tuple[str, ...]

__all__ = [
    "ArchitectureError",
    "DartsArchitecture",
    "DartsSpace",
    "NB101Architecture",
    "NB101Space",
    "NB201Architecture",
    "NB201Space",
    "Space",
    "SpaceError",
    "configured",
    "get_space",
    "space_in_file",
    "target_of",
]


def __getattr__(name: str) -> tuple[str, ...]:
    """`SPACES`, the names of the package's own spaces of networks, looked up when asked for."""
    if name == "SPACES":
        return tuple(space for space in packaged() if get_space(space).network)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
