"""Configurations as the command line composes them; those that differ in plain values alone share one composition.

Hydra needs half a second of processor time for one, more than many a job of the tests that asks for it.
"""

import copy
import functools
import re
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nas_lightning.config.schema import register
from nas_lightning.config.search_schema import register as register_search

ROOT = Path(__file__).parents[2]
CONF = ROOT / "conf"
PLAIN = re.compile(
    r"([a-z_]+(?:\.[a-z_]+)*)=(?:(-?[1-9]\d*|0)|(-?\d+\.\d+|\d+e-\d+)|(true|false|null)|([a-z_/][\w/.-]*))", re.ASCII
)
"""A key, and a whole number, a number, one of three words, or a text that Hydra takes as it stands."""
WORDS = {"true": True, "false": False, "null": None}


@functools.cache
def registered() -> None:
    """The schemas are the same for all compositions of a process."""
    register()
    register_search()


def composed_anew(script: str, overrides: tuple[str, ...], conf: Path = CONF) -> DictConfig:
    """By Hydra itself."""
    registered()
    with initialize_config_dir(str(conf), version_base="1.3"):
        return compose(script, list(overrides))


@functools.lru_cache(maxsize=64)
def _kept(script: str, overrides: tuple[str, ...], _folder: Path) -> DictConfig:
    return composed_anew(script, overrides)


def composed_by(script: str, overrides: tuple[str, ...], conf: Path = CONF) -> DictConfig:
    """The configuration of one job, which the caller may change.

    Args:
        script: ``train`` or ``search``.
        overrides: as they are typed.
        conf: Hydra's folder. What is in another one than the project's may change, and is always read; so is what
            replaces or removes several values, for which the order of the overrides matters.

    Returns:
        Equal to `composed_anew`.
    """
    if conf != CONF or any("{" in override or override.startswith("~") for override in overrides):
        return composed_anew(script, overrides, conf)
    values: dict[str, Any] = {}
    rest: list[str] = []
    for override in overrides:
        found = PLAIN.fullmatch(override)
        if found is None or is_group(found[1]) or found[5] in ("nan", "inf"):
            rest.append(override)
        else:
            _, whole, number, word, text = found.groups()
            values[found[1]] = int(whole) if whole else float(number) if number else WORDS[word] if word else text
    config = copy.deepcopy(_kept(script, tuple(rest), Path.cwd()))
    try:
        for key, value in values.items():
            OmegaConf.update(config, key, value, merge=True)
    except OmegaConfBaseException:
        return composed_anew(script, overrides)  # which says what is wrong in Hydra's words
    return config


def is_group(key: str) -> bool:
    """Whether a key chooses a file; below hydra, a value may choose what is composed."""
    return key.startswith("hydra") or (CONF / key).is_dir() or key in ConfigStore.instance().repo
