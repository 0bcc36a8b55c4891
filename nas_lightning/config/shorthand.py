"""Short forms of overrides that Hydra's grammar does not know, written out before it reads them."""

from __future__ import annotations

from collections.abc import Sequence

TABLES = (".parquet", ".arrow")


def written_out(overrides: Sequence[str]) -> list[str]:
    """``benchmark=path/to/table.parquet`` as ``benchmark.name=…``: a table is found by its path, too.

    >>> written_out(["benchmark=mine/table.parquet", "benchmark=embedded", "seed=1"])
    ['benchmark.name=mine/table.parquet', 'benchmark=embedded', 'seed=1']
    >>> written_out(["benchmark=a.parquet,b.parquet"])
    ['benchmark.name=a.parquet,b.parquet']
    """
    return [_written_out(override) for override in overrides]


def _written_out(override: str) -> str:
    key, separator, value = override.partition("=")
    if key == "benchmark" and separator and all(_is_path(part) for part in value.split(",")):
        return f"benchmark.name={value}"
    return override


def _is_path(text: str) -> bool:
    text = text.strip().strip("'\"")
    return text.endswith(TABLES) or text.startswith(("/", "./", "../", "~"))
