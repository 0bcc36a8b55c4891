"""From a name or a dotted path to a search space: of the package, of an installed package, or of one's own."""

from __future__ import annotations

import difflib
import importlib
from functools import lru_cache
from importlib import metadata
from typing import Any

from nas_lightning.spaces.base import Space
from nas_lightning.spaces.errors import SpaceError

GROUP = "nas_lightning.spaces"
"""Entry points: ``name = module:Class`` in an installed package's metadata."""

_PACKAGE = "nas_lightning.spaces"
_BUILT_IN: dict[str, str] = {
    "nasbench101": f"{_PACKAGE}.nasbench101.NB101Space",
    "nasbench201": f"{_PACKAGE}.nasbench201.NB201Space",
    "darts_nds": f"{_PACKAGE}.darts.DartsSpace",
}
SPACES: tuple[str, ...] = tuple(_BUILT_IN)
"""The names of the package's own spaces of networks."""
_BUILT_IN |= {
    "fcnet": f"{_PACKAGE}.fcnet.FCNetSpace",
    "hpobench_mlp": f"{_PACKAGE}.hpobench_mlp.HPOBenchMLPSpace",
    "taskset_adam8p": f"{_PACKAGE}.taskset_adam8p.TaskSetSpace",
}
TABLE_SPACES: tuple[str, ...] = tuple(name for name in _BUILT_IN if name not in SPACES)
"""The names of the package's own spaces that only tables know."""
_ALIASES = {"darts": "darts_nds"}
_given: dict[str, type[Space[Any]]] = {}
"""The spaces that were asked for by a dotted path, by name: this process reads their tables and checkpoints."""


def get_space(name: str | Space[Any], target: str | None = None) -> Space[Any]:
    """The search space of this name: the package's own, an installed package's (entry points of the group
    ``nas_lightning.spaces``), or any class by its dotted path (``my_folder.my_space.MySpace``), which is known by its
    name, too, from then on.

    Args:
        name: a name, a dotted path, or a space, which is handed back.
        target: where a table or checkpoint says that the space's class was. It is named in the message where the space
            is not known, and never imported: a file decides no code.

    Raises SpaceError, in one sentence, with the nearest names.
    """
    if isinstance(name, Space):
        return name
    return _class_of(str(name), target)()


def target_of(space: str | Space[Any]) -> str | None:
    """Dotted path of a space from outside the package; None for the package's own, which need none."""
    found = type(get_space(space))
    path = f"{found.__module__}.{found.__qualname__}"
    return None if _BUILT_IN.get(found.name) == path else path


def known_names() -> tuple[str, ...]:
    """All names that `get_space` reads now."""
    return tuple(dict.fromkeys([*_BUILT_IN, *_entry_points(), *_given]))


def _class_of(name: str, target: str | None) -> type[Space[Any]]:
    name = _ALIASES.get(name, name)
    if name in _given:
        return _given[name]
    if name in _BUILT_IN:
        return _imported(_BUILT_IN[name])
    if "." in name or ":" in name:
        return _registered(_imported(name))
    if name in _entry_points():
        return _imported(_entry_points()[name])
    if target is not None:
        raise SpaceError(
            f"{name!r} is a search space that is not known here (written with {target[:80]}); if you trust that class, "
            f"name it: space=FILE whose _target_ it is, --space {target[:80]}, or an entry point {GROUP}"
        )
    known = known_names()
    near = difflib.get_close_matches(name, known, 3, 0.6)
    raise SpaceError(
        f"{name[:80]!r} is no search space; "
        + (f"did you mean {' or '.join(near)}? " if near else "")
        + f"choose one of {', '.join(known)}, or give the dotted path of a class of your own"
    )


@lru_cache(maxsize=1)
def _entry_points() -> dict[str, str]:
    return {point.name: point.value for point in metadata.entry_points(group=GROUP)}


@lru_cache(maxsize=256)
def _imported(path: str) -> type[Space[Any]]:
    module, _, leaf = path.replace(":", ".").rpartition(".")
    try:
        found = getattr(importlib.import_module(module), leaf)
    except ModuleNotFoundError as error:
        if error.name is None or not (module + ".").startswith(error.name + "."):
            raise  # the space's own imports fail: its author needs the traceback
        raise SpaceError(
            f"the search space {path[:120]} cannot be imported: there is no module {error.name}; run from the folder "
            "that holds it, or put that folder on PYTHONPATH"
        ) from None
    except (AttributeError, ValueError):
        raise SpaceError(f"the search space {path[:120]} cannot be imported: {module} has no {leaf}") from None
    if not isinstance(found, type) or not issubclass(found, Space):
        raise SpaceError(f"{path[:120]} is no search space; let it derive from {_PACKAGE}.base.Space")
    return found


def _registered(found: type[Space[Any]]) -> type[Space[Any]]:
    """Let a class be found by its name from now on; two classes may not share one."""
    path = f"{found.__module__}.{found.__qualname__}"
    if missing := sorted(getattr(found, "__abstractmethods__", ())):
        raise SpaceError(f"{path} is not whole: it lacks {', '.join(missing)}")
    if not isinstance(getattr(found, "name", None), str) or "." in found.name or ":" in found.name:
        raise SpaceError(f"{path} needs a name, a word without dots, such as name = 'my_space'")
    if _BUILT_IN.get(found.name, path) != path:
        raise SpaceError(f"{path} takes the name {found.name} of the package's own space; choose another name")
    other = _given.get(found.name, found)
    if f"{other.__module__}.{other.__qualname__}" != path:
        raise SpaceError(f"{path} and {other.__module__}.{other.__qualname__} are both named {found.name}; rename one")
    if _BUILT_IN.get(found.name) != path:
        _given[found.name] = found
    return found
