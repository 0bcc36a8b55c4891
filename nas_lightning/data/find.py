"""From a ``data`` section to a `Task`: of the package, of an installed package, or of one's own.

``data._target_`` is the dotted path of a `Source` (images with classes) or of a whole `Task`; without one the name is
looked up among the files of `nas_lightning.data.sources`, then among the entry points ``nas_lightning.data``.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import pkgutil
import re
from collections.abc import Mapping
from importlib import metadata
from typing import Any

from nas_lightning.data.images import DataError
from nas_lightning.data.module import ImageClassification
from nas_lightning.data.source import Source
from nas_lightning.data.task import Task
from nas_lightning.errors import did_you_mean, nearest
from nas_lightning.spaces.dotted_path import found_at

GROUP = "nas_lightning.data"
"""Entry points: ``name = module:Class`` in an installed package's metadata."""

DEFAULTS: dict[str, Any] = {
    "split_seed": 0,
    "max_train_images": None,
    "augment": True,
    "image_size": None,
    "download": False,
}
"""Settings that every ``data`` section has: one that a class does not take may not be set to something else."""

_SOURCES = "nas_lightning.data.sources"
_GIVEN = ("batch_size", "train_portion", "seed")
_NAME = re.compile(r"[A-Za-z0-9][\w.+-]{0,63}")


def data_class(name: str, target: str | None = None) -> type[Source] | type[Task]:
    """The class that a ``data`` section names. Raises DataError, in one sentence, with the nearest names."""
    if target is not None:
        found = found_at(target, said=f"data._target_={target}", error=DataError)
    elif not _NAME.fullmatch(name):
        raise DataError(
            f"data.name={name[:100]} is no name of a data set; a folder of images is data=folder data.path={name[:100]}"
        )
    elif (packaged := packaged_source(name)) is not None:
        return packaged
    elif name in (installed := {p.name: p for p in metadata.entry_points(group=GROUP)}):
        found = installed[name].load()
    else:
        known = known_names()
        raise DataError(
            f"data set {name!r} is unknown: {did_you_mean(name, known)}choose one of {', '.join(known)}, "
            "data=folder, npz, parquet or torchvision for your own, or data._target_=… for a class of your own"
        )
    if not (isinstance(found, type) and issubclass(found, Source | Task)):
        raise DataError(
            f"data._target_={target or name} is neither a nas_lightning.data.source.Source nor a "
            "nas_lightning.data.task.Task; let its class derive from one of them"
        )
    if missing := sorted(getattr(found, "__abstractmethods__", ())):
        raise DataError(f"data._target_={target or name} is not whole: it lacks {', '.join(missing)}")
    return found


def packaged_source(name: str) -> type[Source] | None:
    """The source in the file of this name; None where there is none, or it has no fixed content."""
    if not name.isidentifier() or importlib.util.find_spec(f"{_SOURCES}.{name}") is None:
        return None
    module = importlib.import_module(f"{_SOURCES}.{name}")
    own = [v for v in vars(module).values() if isinstance(v, type) and issubclass(v, Source)]
    return next((v for v in own if getattr(v, "name", None) == name), None)


def known_names() -> list[str]:
    """All data sets that are found by their name alone."""
    import nas_lightning.data.sources as folder

    files = [m.name for m in pkgutil.iter_modules(folder.__path__)]
    return [*(n for n in files if packaged_source(n)), *(p.name for p in metadata.entry_points(group=GROUP))]


def settings_of(found: type) -> tuple[str, ...]:
    """Names of the arguments of a class's constructor."""
    parameters = inspect.signature(found).parameters.values()
    return tuple(p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD))


def get_source(name: str, target: str | None = None, **settings: Any) -> Source:
    """The images of this name or class. Raises DataError for an unknown one, and for settings that it does not have."""
    found = data_class(name, target)
    if not issubclass(found, Source):
        raise DataError(f"data._target_={target or name} is a whole task, not a source of images with classes")
    return _built(found, settings, name)


def name_of(section: Mapping[str, Any]) -> str:
    """The data set's name, as tables call it: the section's where its class takes one, else the class's own."""
    found = data_class(section["name"], section.get("_target_"))
    if "name" not in settings_of(found) and hasattr(found, "name"):
        return str(found.name)
    return found.named(section["name"], section.get("settings") or {}) if issubclass(found, Source) else section["name"]


def task_class(section: Mapping[str, Any]) -> type[Task]:
    """The task of a ``data`` section; nothing is built or read."""
    found = data_class(section["name"], section.get("_target_"))
    return ImageClassification if issubclass(found, Source) else found


def make_task(section: Mapping[str, Any], batch_size: int, train_portion: float, seed: int) -> Task:
    """The task of a ``data`` section; no file is read.

    Args:
        section: ``name``, ``_target_``, ``root``, the settings of `DEFAULTS`, and under ``settings`` the class's own.
        batch_size: items of a training batch, over all ranks.
        train_portion: share of the training items that train; the others are held out.
        seed: of order and augmentation.

    Raises:
        DataError: a class that is not there, a setting that it does not read.
    """
    found = data_class(section["name"], section.get("_target_"))
    common = {key: section.get(key, default) for key, default in DEFAULTS.items()}
    common |= {"name": section["name"], "root": section.get("root") or "data"}
    own, known = dict(section.get("settings") or {}), settings_of(found)
    given: dict[str, Any] = dict(zip(_GIVEN, (batch_size, train_portion, seed), strict=True))
    if issubclass(found, Source):
        read = {k: v for k, v in common.items() if k in known}
        reads = {*read, "split_seed", "max_train_images", "augment", "image_size"}
        _refuse_unread(section, found, reads)
        source = _built(found, {**read, **own}, section["name"])
        shared = {k: common[k] for k in ("split_seed", "max_train_images", "augment", "image_size")}
        return ImageClassification(source.name, common["root"], **given, **shared, source=source)
    read = {k: v for k, v in {**common, **given}.items() if k in known}
    _refuse_unread(section, found, set(read))
    task = _built(found, {**read, **own}, section["name"])
    task.batch_size, task.seed, task.train_portion = batch_size, seed, train_portion
    return task


def _refuse_unread(section: Mapping[str, Any], found: type, reads: set[str]) -> None:
    where = os.environ.get("NAS_LIGHTNING_DATA", "data")
    for key, default in {**DEFAULTS, "root": where}.items():
        if key not in reads and section.get(key, default) not in (default, None):
            instead = "; a folder of images is data=folder data.path=…" if key == "root" else ""
            raise DataError(
                f"data={section['name']} does not read data.{key} (set to {section[key]}): drop it{instead}"
            )


def _built(found: type, settings: Mapping[str, Any], name: str) -> Any:
    known = settings_of(found)
    open_ones = [k for k in known if k not in ("self", *_GIVEN)]
    for key in settings:
        if key not in known:
            close = nearest(key, open_ones) or open_ones
            has = f"say {' or '.join(f'data.{k}=…' for k in close)}" if close else "it has no settings; drop it"
            raise DataError(f"nothing reads data.{key} of data={name}: {has}")
    needed = [
        p.name
        for p in inspect.signature(found).parameters.values()
        if p.default is p.empty and p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    if missing := [key for key in needed if key not in settings or settings[key] == "???"]:
        raise DataError(f"data={name} needs data.{missing[0]}=…")
    return found(**settings)
