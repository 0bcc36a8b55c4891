"""Spaces, data and heuristics of other installed packages as choices on the command line, found by their entry points.

What another package offers as ``[project.entry-points."nas_lightning.heuristics"] clipped = "my_package:Clipped"`` is
chosen by ``extra=clipped`` and set by ``heuristics.clipped.value=3``, without a YAML file anywhere. Predictors are
named in ``evaluation.predictors``, algorithms in ``algorithm=`` (`search_schema.register`).
"""

from __future__ import annotations

from importlib.metadata import entry_points

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from nas_lightning.spaces.find import GROUP as SPACES

DATA = "nas_lightning.data"
"""Entry points of data, as `nas_lightning.data.find` reads them, which imports PyTorch: `--help` would wait for it."""
HEURISTICS = "nas_lightning.heuristics"


def register_installed() -> None:
    """Make what other packages offer known to Hydra: ``space=``, ``data=`` and ``extra=`` take their names.

    Nothing of theirs is imported before it is chosen.
    """
    store = ConfigStore.instance()
    for point in entry_points(group=SPACES):
        section = {"name": point.name, "_target_": f"{point.module}.{point.attr}"}
        store.store(group="space", name=point.name, package="_global_", node={"space": section})
    for point in entry_points(group=DATA):
        store.store(group="data", name=point.name, node={"name": point.name})
    for point in entry_points(group=HEURISTICS):
        open_section = OmegaConf.create({"_target_": f"{point.module}.{point.attr}"})
        OmegaConf.set_struct(open_section, False)  # its class says which settings it has
        store.store(group="extra", name=point.name, package=f"heuristics.{point.name}", node=open_section)
