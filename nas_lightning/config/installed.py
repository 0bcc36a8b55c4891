"""Spaces, data and heuristics of other installed packages as choices on the command line, found by their entry points.

What another package offers as ``[project.entry-points."nas_lightning.heuristics"] clipped = "my_package:Clipped"`` is
chosen by ``extra=clipped`` and set by ``heuristics.clipped.value=3``, without a YAML file anywhere. Predictors are
named in ``evaluation.predictors``, algorithms in ``algorithm=`` (`search_schema.register`).
"""

from __future__ import annotations

import inspect
from contextlib import suppress
from importlib.metadata import EntryPoint, entry_points

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf

SPACES, DATA, HEURISTICS = "nas_lightning.spaces", "nas_lightning.data", "nas_lightning.heuristics"
"""Entry points: ``name = module:Class`` in an installed package's metadata. Written out, since what reads the first two
imports PyTorch."""


def register_installed() -> None:
    """Make what other packages offer known to Hydra: ``space=``, ``data=`` and ``extra=`` take their names."""
    store = ConfigStore.instance()
    for point in entry_points(group=SPACES):
        section = {"name": point.name, "_target_": f"{point.module}.{point.attr}"}
        store.store(group="space", name=point.name, package="_global_", node={"space": section})
    for point in entry_points(group=DATA):
        store.store(group="data", name=point.name, node={"name": point.name})
    for point in entry_points(group=HEURISTICS):
        factor, settings = _heuristic(point)
        store.store(group="extra", name=point.name, package=f"heuristics.{factor}", node=settings)


def _heuristic(point: EntryPoint) -> tuple[str, DictConfig]:
    """Its factor, and its section: the class, and every setting with its default value."""
    target = {"_target_": f"{point.module}.{point.attr}"}
    with suppress(Exception):  # what is broken in another package is said where it is chosen
        cls = point.load()
        parameters = inspect.signature(cls).parameters.values()
        settings = {p.name: None if p.default is inspect.Parameter.empty else p.default for p in parameters}
        return str(cls.factor), OmegaConf.create({**target, **settings})
    return point.name, OmegaConf.create(target)
