"""From a name or a path to an opened table; known Parquet layouts are converted once into the cache folder."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from nas_lightning.benchmarks.convert.layouts import convert_layout, layout_of
from nas_lightning.benchmarks.errors import BenchmarkError
from nas_lightning.benchmarks.registry import KNOWN
from nas_lightning.benchmarks.table_file import HEADER, read_table
from nas_lightning.benchmarks.writer import CONVERTER
from nas_lightning.errors import did_you_mean

EMBEDDED = Path(__file__).parent / "tables"


def data_folder(root: str | Path | None = None) -> Path:
    """The folder of official tables: `root`, else NAS_LIGHTNING_BENCHMARKS, else NAS_LIGHTNING_DATA, else ./data."""
    named = os.environ.get("NAS_LIGHTNING_BENCHMARKS") or os.environ.get("NAS_LIGHTNING_DATA")
    return Path(root or named or "data").expanduser()


def cache_folder() -> Path:
    """Where converted tables are kept: NAS_LIGHTNING_CACHE, else the platform's cache folder."""
    chosen = os.environ.get("NAS_LIGHTNING_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "nas_lightning" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "nas_lightning"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nas_lightning"


def embedded_names() -> list[str]:
    """Names of the tables that ship with the package."""
    return sorted(path.stem for path in EMBEDDED.glob("*.parquet"))


def named_tables(root: str | Path | None = None) -> list[tuple[str, Path]]:
    """Names and files of the tables in the data folder that can be opened: this project's format or a known layout."""
    folder = data_folder(root)
    found: dict[str, Path] = {}
    for place in (folder / "benchmarks", folder):
        for path in sorted(place.glob("*.parquet")) if place.is_dir() else ():
            with contextlib.suppress(BenchmarkError):
                schema = _schema(path)
                if HEADER in (schema.metadata or {}) or layout_of(schema):
                    found[path.stem] = path
        found |= {path.stem: path for path in sorted(place.glob("*.arrow"))} if place.is_dir() else {}
    return sorted(found.items())


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def content_of(name_or_path: str | Path, root: str | Path | None = None) -> str | None:
    """SHA-256 of the bytes of the table's file, the same under any name or path; None for the package's own tables,
    which their names identify. Raises BenchmarkError where there is no such table."""
    path = find(name_or_path, root)
    if path.parent == EMBEDDED:
        return None
    status = path.stat()
    return _content(path.resolve(), status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=64)
def _content(path: Path, size: int, changed_ns: int) -> str:
    return sha256_of(path)


def find(name_or_path: str | Path, root: str | Path | None = None) -> Path:
    """The file of a table. Raises BenchmarkError saying what to put where."""
    text = str(name_or_path)
    path = Path(text).expanduser()
    if path.suffix not in ("", ".arrow", ".parquet") and os.path.isfile(path):
        raise BenchmarkError(
            f"{text} is no table of this project (.arrow or .parquet); make one of it: "
            "python -m nas_lightning.benchmarks convert --help"
        )
    if path.suffix in (".arrow", ".parquet") or os.sep in text or "/" in text:
        if os.path.isfile(path):  # which a name that is too long for a file system is none, without an error
            return path
        wrong = "is no file" if os.path.exists(path) else "does not exist"
        raise BenchmarkError(
            f"{path} {wrong}; give a table's path (.arrow or .parquet), or a name that "
            "`python -m nas_lightning.benchmarks list` shows"
        )
    if text in embedded_names():
        return EMBEDDED / f"{text}.parquet"
    folder = data_folder(root)
    for place in (folder, folder / "benchmarks"):
        for suffix in (".arrow", ".parquet"):
            if os.path.isfile(place / (text + suffix)):
                return place / (text + suffix)
    if text in KNOWN:
        raise BenchmarkError(
            f"there is no table {text}: put {text}.arrow or {text}.parquet into {folder} (NAS_LIGHTNING_BENCHMARKS "
            f"names another folder); `python -m nas_lightning.benchmarks info {text}` tells its source; or use "
            "benchmark=none"
        )
    known = [*embedded_names(), *KNOWN, *(file.stem for file in sorted(folder.glob("*.parquet")))]
    raise BenchmarkError(
        f"there is no table {text[:80]}: {did_you_mean(text, known)}`python -m nas_lightning.benchmarks list` shows "
        f"those there are; {folder} is where others are looked for (NAS_LIGHTNING_BENCHMARKS names another folder)"
    )


def locate(name_or_path: str | Path, root: str | Path | None = None) -> tuple[Path, pa.Table, dict[str, Any]]:
    """Path, columns and header of a table."""
    path = find(name_or_path, root)
    if path.suffix == ".parquet" and HEADER not in (_schema(path).metadata or {}):
        return _cached(path)
    return path, *read_table(path)


def _schema(path: Path) -> pa.Schema:
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(path)
        _ = schema.names  # which may be no UTF-8 text
        return schema
    except (pa.ArrowException, OSError, UnicodeError) as error:
        reason = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
        raise BenchmarkError(f"{path} is damaged or incomplete ({reason}); fetch or convert it again") from None


def _cached(path: Path) -> tuple[Path, pa.Table, dict[str, Any]]:
    """The conversion of a Parquet table of a known layout, made where the cache has none that is whole."""
    layout = layout_of(_schema(path))
    if layout is None:
        raise BenchmarkError(
            f"{path} has no layout that this project knows; convert it with a column mapping "
            "(python -m nas_lightning.benchmarks convert table --help)"
        )
    digest = sha256_of(path)
    cached = cache_folder() / f"{path.stem}-{digest[:16]}-{CONVERTER}.arrow"
    if cached.is_file():
        with contextlib.suppress(BenchmarkError):  # a damaged entry is made again from its source
            return cached, *read_table(cached)
    try:
        convert_layout(layout, path, cached, digest)
    except OSError as error:
        raise BenchmarkError(
            f"{cached.parent} cannot be written ({error.strerror}); name a folder for converted "
            "tables with NAS_LIGHTNING_CACHE"
        ) from None
    return cached, *read_table(cached)
