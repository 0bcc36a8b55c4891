"""From the overrides of a sweep to its jobs, quickly.

Hydra needs a fifth of a second to compose a job, too much for a sweep of 700 finished jobs: jobs that differ in plain
values alone (seeds) share one composition. Nothing is remembered from one command to the next, since what a job leads
to depends on the content of tables, images and checkpoints, too.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import OverrideType
from hydra.errors import ConfigCompositionException
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from nas_lightning.errors import UserError
from nas_lightning.sweep.jobs import Job, describe, refused_folder, varying


class Composer:
    """Composes the jobs of one sweep as Hydra's launchers do: the same configuration, faster.

    Only `hydra.job.override_dirname` is not made anew, which no folder of ours is named by.
    """

    def __init__(self, master: DictConfig, loader: ConfigLoader) -> None:
        self.master, self.loader = master, loader
        self.parser = OverridesParser.create(config_loader=loader)
        self._bases: dict[str, DictConfig] = {}
        self._groups: dict[str, bool] = {}

    def __call__(self, overrides: Sequence[str]) -> DictConfig:
        """The configuration of one job, with its hydra section. Raises HydraException where it cannot be composed."""
        parsed = self.parser.parse_overrides(list(overrides))
        values = {o.key_or_group: o for o in parsed if self._is_plain(o)}
        shape = json.dumps([o.input_line for o in parsed if not self._is_plain(o)] + [sorted(values)])
        base = self._bases.get(shape)
        if base is None:
            base = self._bases[shape] = self.loader.load_sweep_config(self.master, list(overrides))
            return copy.deepcopy(base)
        config = copy.deepcopy(base)
        with read_write(config.hydra), open_dict(config.hydra):
            config.hydra.overrides.task = list(overrides)
        for key, override in values.items():
            try:
                OmegaConf.update(config, key, override.value(), merge=True)
            except OmegaConfBaseException as error:
                raise ConfigCompositionException(f"Error merging override {override.input_line}") from error
        return config

    def _is_plain(self, override: Any) -> bool:
        """A scalar for a key that exists: applied after the groups are composed, so it changes none of them."""
        key = override.key_or_group
        if override.package is not None or override.type != OverrideType.CHANGE:
            return False
        if key not in self._groups:
            # Everything below hydra decides how jobs run; a heuristic's entry may be replaced as a whole.
            self._groups[key] = key.startswith("hydra") or self.loader.get_group_options(key) != []
        value = override.value()
        return not self._groups[key] and (value is None or isinstance(value, str | int | float | bool))


class Planner:
    """Finds the jobs of a sweep; writes nothing."""

    def __init__(self, master: DictConfig, loader: ConfigLoader) -> None:
        self.composer = Composer(master, loader)
        self._rehearsal: Any = None

    def _rehearse(self, job: Any) -> None:
        """One rehearsal for all jobs; imported where a job is left to do, since it needs PyTorch."""
        if self._rehearsal is None:
            from nas_lightning.modes.rehearsal import Rehearsal

            self._rehearsal = Rehearsal()
        self._rehearsal(job)

    def plan(self, jobs: Iterable[Sequence[str]]) -> list[Job]:
        """The jobs in the order given.

        Raises:
            HydraException, MistypedError: one of them cannot be composed (a typing error).
            UserError: there is no job.
        """
        typed = [tuple(overrides) for overrides in jobs]
        if not typed:
            raise UserError("there is no job: a range() that was typed is empty, or a glob() fits no choice; mend it")
        keys = set(varying(typed))
        return [self._plan(overrides, keys) for overrides in typed]

    def _plan(self, overrides: tuple[str, ...], keys: set[str]) -> Job:
        if listed := next((o for o in overrides if re.search(r"=\{include:\[.*\],exclude:\[.*\]\}$", o)), None):
            group, _, pattern = listed.partition("={include:[")
            raise UserError(
                f"{group} lists a glob() among other choices, which Hydra does not resolve; put all into one: "
                f"{group}='glob([baseline,{pattern.partition(']')[0]}])'"
            )
        config = self.composer(overrides)
        before = HydraConfig.instance().cfg
        HydraConfig.instance().set_config(config)
        try:
            with read_write(config), open_dict(config):
                del config["hydra"]  # HydraConfig has a copy
            found = describe(config, self._rehearse)
        finally:
            HydraConfig.instance().cfg = before
        return Job(
            overrides,
            title=" ".join(o for o in overrides if o.partition("=")[0] in keys) or "as typed",
            folder=found.folder,
            seconds=found.seconds,
            refusal=found.refusal,
            refused_folder=refused_folder(config),
            force=bool(config.force),
        )
