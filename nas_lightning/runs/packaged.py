"""Where the package's own YAML files and heuristics lie: beside the package in a checkout, inside it in a wheel.

A wheel installs no top-level package of a common name: ``conf/`` becomes ``nas_lightning/_conf`` and ``callbacks/``
``nas_lightning/callbacks``; a user's own folders of these names are the user's.
"""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).parents[1]
HEURISTICS = "callbacks"


def conf_folder(package: Path = PACKAGE) -> Path:
    """The folder of the package's YAML files."""
    inside = package / "_conf"
    return inside if inside.is_dir() else package.parent / "conf"


def heuristic_target(target: str, package: Path = PACKAGE) -> str:
    """Dotted path of a heuristic's class or module as it can be imported: ``callbacks.x`` of a YAML file is
    ``nas_lightning.callbacks.x`` where a wheel has that file, and else what the user's own folder holds."""
    first, _, rest = target.partition(".")
    if first == HEURISTICS and (package / HEURISTICS / f"{rest.partition('.')[0]}.py").is_file():
        return f"{package.name}.{target}"
    return target
