"""``python -m nas_lightning.imports``: import every module of the packages, so that none rots unseen."""

from __future__ import annotations

import importlib
import pkgutil
import sys


def module_names() -> list[str]:
    """Every module of `nas_lightning` and `callbacks`, but for the packages' command lines (``__main__``)."""
    names = []
    for package in ("nas_lightning", "callbacks"):
        root = importlib.import_module(package)
        names.append(package)
        names += [found.name for found in pkgutil.walk_packages(root.__path__, f"{package}.")
                  if not found.name.endswith("__main__")]
    return names


if __name__ == "__main__":
    modules = module_names()
    for module in modules:
        importlib.import_module(module)
    print(f"{len(modules)} modules import", file=sys.stderr)
