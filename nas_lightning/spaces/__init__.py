"""Search spaces as immutable values, free of torch."""

from __future__ import annotations

from nas_lightning.spaces.base import Space
from nas_lightning.spaces.darts import DartsArchitecture, DartsSpace
from nas_lightning.spaces.errors import ArchitectureError, SpaceError
from nas_lightning.spaces.find import SPACES, get_space, target_of
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
    "SpaceError",
    "get_space",
    "target_of",
]
