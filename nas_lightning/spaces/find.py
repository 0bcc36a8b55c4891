"""From a name or a dotted path to a search space: of the package, of an installed package, or of one's own."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from functools import lru_cache
from importlib import metadata
from typing import Any

from nas_lightning.errors import did_you_mean
from nas_lightning.spaces.base import Space
from nas_lightning.spaces.dotted_path import found_at
from nas_lightning.spaces.errors import SpaceError

GROUP = "nas_lightning.spaces"
"""Entry points: ``name = module:Class`` in an installed package's metadata."""

_PACKAGE = "nas_lightning.spaces"
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

    Returns:
        The space; equal names give one object.

    Raises:
        SpaceError: there is none, with the nearest names.
    """
    if isinstance(name, Space):
        return name
    return _class_of(str(name), target)()


def space_in_file(name: object, target: str | None = None) -> Space[Any]:
    """The search space that a checkpoint, table or result names: as `get_space`, but a file decides no code, so that
    nothing outside the known names is imported.

    Args:
        name: as the file has it.
        target: dotted path of its class, as the file has it.

    Returns:
        The space.

    Raises:
        SpaceError: it is no name, or none that is known.
    """
    if not isinstance(name, str) or not name.isidentifier():
        raise SpaceError(f"{str(name)[:80]!r} is no name of a search space")
    return get_space(name, target)


def configured(name: str, target: str | None) -> Space[Any]:
    """The space of a configuration's ``space: {name: …, _target_: …}``; the class that it names is imported, which lets
    tables and checkpoints of it be opened by its name.

    Args:
        name: of the section.
        target: its ``_target_``, or None.

    Returns:
        The space.

    Raises:
        SpaceError: there is none, or the class bears another name than the section.
    """
    space = get_space(target or name)
    if space.name != _ALIASES.get(name, name):
        raise SpaceError(f"space._target_={target} is the space {space.name}, not space.name={name}; make them agree")
    return space


def target_of(space: str | Space[Any]) -> str | None:
    """Dotted path of a space from outside the package; None for the package's own, which need none.

    Args:
        space: its name, or the space.

    Returns:
        ``module.Class``, or None.
    """
    found = type(get_space(space))
    return None if _packaged(found.name) is found else _path(found)


def _path(found: type[Space[Any]]) -> str:
    return f"{found.__module__}.{found.__qualname__}"


def packaged() -> tuple[str, ...]:
    """Names of the package's own spaces: the modules of this folder that hold a space of their name.

    Returns:
        Names, sorted.
    """
    import nas_lightning.spaces

    return tuple(sorted(m.name for m in pkgutil.iter_modules(nas_lightning.spaces.__path__) if _packaged(m.name)))


@lru_cache(maxsize=256)
def _packaged(name: str) -> type[Space[Any]] | None:
    """The space in the module of this name, None where there is no such module, or no such space in it."""
    if not name.isidentifier() or importlib.util.find_spec(f"{_PACKAGE}.{name}") is None:
        return None
    module = importlib.import_module(f"{_PACKAGE}.{name}")
    spaces = (v for v in vars(module).values() if isinstance(v, type) and issubclass(v, Space))
    return next((v for v in spaces if getattr(v, "name", None) == name), None)


def known_names() -> tuple[str, ...]:
    """All names that `get_space` reads now.

    Returns:
        Packaged ones, then installed ones, then those that were named by their path.
    """
    return tuple(dict.fromkeys([*packaged(), *_entry_points(), *_given]))


def _class_of(name: str, target: str | None) -> type[Space[Any]]:
    name = _ALIASES.get(name, name)
    if name in _given:
        return _given[name]
    if own := _packaged(name):
        return own
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
    raise SpaceError(
        f"{name[:80]!r} is no search space; "
        + did_you_mean(name, known)
        + f"choose one of {', '.join(known)}, or give the dotted path of a class of your own"
    )


@lru_cache(maxsize=1)
def _entry_points() -> dict[str, str]:
    return {point.name: point.value for point in metadata.entry_points(group=GROUP)}


@lru_cache(maxsize=256)
def _imported(path: str) -> type[Space[Any]]:
    found = found_at(path, said=f"the search space {path} cannot be imported", error=SpaceError)
    if not isinstance(found, type) or not issubclass(found, Space):
        raise SpaceError(f"{path[:120]} is no search space; let it derive from {_PACKAGE}.base.Space")
    return found


def _registered(found: type[Space[Any]]) -> type[Space[Any]]:
    """Let a class be found by its name from now on; two classes may not share one."""
    if missing := sorted(getattr(found, "__abstractmethods__", ())):
        raise SpaceError(f"{_path(found)} is not whole: it lacks {', '.join(missing)}")
    if not isinstance(getattr(found, "name", None), str) or not found.name.isidentifier():
        raise SpaceError(f"{_path(found)} needs a name of letters, digits and underscores, such as name = 'my_space'")
    own = _packaged(found.name)
    if own is found:
        return found
    other = own or _given.get(found.name, found)
    if _path(other) != _path(found):
        raise SpaceError(f"{_path(found)} and {_path(other)} are both named {found.name}; rename yours")
    _given[found.name] = found
    return found
