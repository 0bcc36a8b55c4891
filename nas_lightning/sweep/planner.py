"""From the overrides of a sweep to its jobs, quickly.

Hydra needs a fifth of a second to compose a job, and importing PyTorch to resolve its plan takes seconds, too much for
a sweep of 700 finished jobs. Two shortcuts keep the result the same: jobs that differ in plain values alone (seeds)
share one composition, and what a composition led to is remembered in `<runs>/.plans`, under a fingerprint of everything
it depended on.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import OverrideType
from hydra.errors import ConfigCompositionException
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from nas_lightning.benchmarks.locate import embedded_names
from nas_lightning.config.settled import expanded
from nas_lightning.runs.files import parse_json, write_atomically
from nas_lightning.sweep.jobs import Job, describe, refused_folder, varying

PLANS = ".plans"
KEPT_PLANS = 5
FILES = (".txt", ".csv", ".json", ".parquet", ".arrow")
ROOT = Path(__file__).parents[2]


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
    """Finds the jobs of a sweep. `write` is False for a dry run, which leaves no trace."""

    def __init__(self, master: DictConfig, loader: ConfigLoader, write: bool = True) -> None:
        self.master, self.write = master, write
        self.composer = Composer(master, loader)
        self.path = Path(expanded(master.runs)) / PLANS / f"{fingerprint(master)}.json"
        self._known: dict[str, dict[str, Any]] = {}
        try:
            known = parse_json(self.path.read_bytes())
        except (OSError, ValueError):
            known = {}  # no plans yet, or damaged ones: they are only a shortcut
        if isinstance(known, dict):
            self._known = known

    def plan(self, jobs: Iterable[Sequence[str]]) -> list[Job]:
        """The jobs in the order given. Raises HydraException where one of them cannot be composed (a typing error)."""
        before = len(self._known)
        typed = [tuple(overrides) for overrides in jobs]
        keys = set(varying(typed))
        planned = [self._plan(overrides, keys) for overrides in typed]
        if self.write and len(self._known) > before:
            write_atomically(self.path, json.dumps(self._known).encode())
            for old in sorted(self.path.parent.glob("*.json"), key=os.path.getmtime)[:-KEPT_PLANS]:
                old.unlink(missing_ok=True)
        return planned

    def _plan(self, overrides: tuple[str, ...], keys: set[str]) -> Job:
        key = json.dumps(overrides)
        entry = self._known.get(key)
        if entry is None:
            entry, is_stable = self._find(overrides)
            if is_stable:
                self._known[key] = entry
        return Job(
            overrides,
            " ".join(o for o in overrides if o.partition("=")[0] in keys) or "as typed",
            Path(entry["folder"]),
            entry["seconds"],
            entry["refusal"],
            Path(entry["refused_folder"]),
            entry["force"],
        )

    def _find(self, overrides: Sequence[str]) -> tuple[dict[str, Any], bool]:
        """What a job asks for, and whether it depends on nothing that the fingerprint does not cover."""
        config = self.composer(overrides)
        before = HydraConfig.instance().cfg
        HydraConfig.instance().set_config(config)
        try:
            cfg = copy.deepcopy(config)
            with read_write(cfg), open_dict(cfg):
                del cfg["hydra"]
            found = describe(cfg)
        finally:
            HydraConfig.instance().cfg = before
        entry = {
            "folder": str(found.folder),
            "seconds": found.seconds,
            "refusal": found.refusal,
            "refused_folder": str(refused_folder(cfg)),
            "force": bool(cfg.force),
        }
        # A search's folder also depends on the content of a table or a checkpoint, a run's on that of files it names.
        is_search = "algorithm" in cfg or cfg.get("mode") == "evaluate"
        return entry, found.refusal is None and not is_search and not names_files(cfg)


def names_files(cfg: DictConfig) -> bool:
    """Whether what a job leads to depends on the content of a file that the user can change."""
    table = cfg.benchmark.name
    named = [str(cfg.evaluation.architectures)]
    named += [str(v) for h in cfg.heuristics.values() if h for key, v in h.items() if key != "_target_"]
    return (table is not None and table not in embedded_names()) or any(Path(n).suffix in FILES for n in named)


def fingerprint(master: DictConfig, environment: Mapping[str, str] = os.environ) -> str:
    """Of what leads from overrides to run folders: the code, the configuration files, the environment, the command."""
    seen = hashlib.sha256()
    roots = [ROOT / "nas_lightning", ROOT / "callbacks"]
    roots += [Path(s.path) for s in master.hydra.runtime.config_sources if s.schema == "file"]
    for root in dict.fromkeys(roots):
        for path in sorted([*root.rglob("*.py"), *root.rglob("*.yaml")]):
            status = path.stat()
            seen.update(f"{path} {status.st_size} {status.st_mtime_ns}\n".encode())
    hydra = OmegaConf.to_container(master.hydra.overrides.hydra)
    seen.update(json.dumps([os.getcwd(), master.hydra.job.config_name, hydra]).encode())
    ours = {key: value for key, value in environment.items() if key.startswith("NAS_LIGHTNING_")}
    seen.update(json.dumps(ours, sort_keys=True).encode())
    return seen.hexdigest()[:16]
