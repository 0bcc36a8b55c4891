"""One call for every official format: progress, provenance, and a destination that appears only when it is whole."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from nas_lightning.benchmarks.column import Column
from nas_lightning.benchmarks.errors import BenchmarkError
from nas_lightning.benchmarks.registry import KNOWN
from nas_lightning.benchmarks.table_file import check_destination
from nas_lightning.benchmarks.writer import write_encoded

FORMATS = {
    "nasbench101": "NAS-Bench-101 TFRecord, full or only-108",
    "nasbench201": "NAS-Bench-201 v1.0 or v1.1 .pth",
    "nats": "NATS-Bench topology, unpacked folder or .pickle.pbz2",
    "macro": "NAS-Bench-Macro JSON",
    "nds": "NDS JSON of DARTS networks",
    "genotypes": "DARTS genotypes with accuracies, JSON or CSV (NAS-Bench-301 style)",
    "nasbench301": "NAS-Bench-301's results, a folder of JSON files with learning curves",
    "suite_zero": "NAS-Bench-Suite-Zero JSON of NASLib, or the collected Parquet with --space",
    "hw_nas_bench": "HW-NAS-Bench's pickle",
    "nasbench360": "NAS-Bench-360's precomputed NAS-Bench-201 results, .pickle.pbz2",
    "darts214": "214genotypes.pkl, with 214_random_architectures.npy beside it",
    "table": "CSV, JSON or Parquet with a column mapping",
    "import": "Parquet tables in a layout that is known by its columns",
}
_REGISTERED = {
    "nasbench101": "nasbench101",
    "nasbench201": "nasbench201_v1",
    "nats": "nasbench201",
    "nds": "nds_darts",
    "macro": "nasbench_macro",
    "nasbench301": "nasbench301",
    "suite_zero": "suite_zero_nasbench201",
    "hw_nas_bench": "hw_nas_bench",
    "nasbench360": "nasbench360_ninapro",
    "darts214": "darts_random214_cifar10",
}
_FOLDERS = ("nats", "nasbench301")


@contextlib.contextmanager
def _bar(title: str, total: int | None, show: bool) -> Iterator[Callable[[int], None]]:
    """A progress bar in bytes with the time left; silent where `show` is off."""
    if not show:
        yield lambda position: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    with Progress(
        TextColumn(title), BarColumn(), DownloadColumn(), TimeRemainingColumn(), console=Console(stderr=True)
    ) as progress:
        task = progress.add_task(title, total=total)
        yield lambda position: progress.update(task, completed=position)


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files of a folder."""
    return path.stat().st_size if path.is_file() else sum(p.stat().st_size for p in path.rglob("*") if p.is_file())


def convert(
    kind: str,
    source: str | Path,
    out: str | Path,
    *,
    space: str = "darts_nds",
    dataset: str = "cifar10",
    architecture: str = "architecture",
    columns: Mapping[str, str] | None = None,
    accuracy: str = "accuracy",
    metric: str = "test_accuracy",
    percent: bool = False,
    seeds: bool = False,
    memory_gb: float = 8.0,
    curves: bool = False,
    show_progress: bool = False,
) -> Path:
    """Convert an official file (`FORMATS`) to a table at `out` (.arrow or .parquet).

    `space` belongs to formats "table" and "suite_zero", `dataset`, `architecture` and `columns` to "table", `accuracy`,
    `metric` and `percent` to "genotypes", `seeds` to "table" and "genotypes", `memory_gb` and `curves` to the formats
    "nasbench201", "nats" and "nasbench360". Raises BenchmarkError; nothing is at `out` then.
    """
    source, out = Path(source).expanduser(), Path(out).expanduser()
    if kind not in FORMATS:
        raise BenchmarkError(f"{kind!r} is no format; choose one of {', '.join(FORMATS)}")
    if not os.path.exists(source):  # which a name that is too long for a file system is not, without an error
        raise BenchmarkError(f"{source} does not exist; give the official file (info tells where it is published)")
    if not source.is_file() and not source.is_dir():  # a pipe would be waited for without end
        raise BenchmarkError(f"{source} is neither file nor folder; give the official file")
    check_destination(out)
    if out.exists() and out.samefile(source):
        raise BenchmarkError(f"{out} is the official file itself, which would be lost; name another file to write")
    if source.is_dir() and kind not in _FOLDERS:
        raise BenchmarkError(f"{source} is a folder; give the official file")
    from nas_lightning.benchmarks.locate import sha256_of

    if kind == "import":
        from nas_lightning.benchmarks.convert.layouts import convert_layout, layout_of, layouts

        layout = layout_of(_schema(source))
        if layout is None:
            raise BenchmarkError(f"{source} has none of the known layouts ({', '.join(layouts())}); use format table")
        return convert_layout(layout, source, out, sha256_of(source))

    digest: str | None = None
    extra: dict[str, Any] = {}
    with _bar(f"convert {source.name}", size_of(source), show_progress) as progress:
        encoded, read_columns, digest, extra, space = _read(
            kind,
            source,
            progress,
            space=space,
            dataset=dataset,
            architecture=architecture,
            columns=columns or {},
            accuracy=accuracy,
            metric=metric,
            percent=percent,
            seeds=seeds,
            memory_gb=memory_gb,
            curves=curves,
        )
        progress(size_of(source))
    entry = KNOWN.get(_REGISTERED.get(kind, ""))
    origin = {"file": source.name, "sha256": digest or sha256_of(source), "bytes": size_of(source), "format": kind}
    if entry is not None:
        origin |= {"license": entry.license, "citation": entry.citation, "published": entry.published}
    return write_encoded(out, space=space, encoded=encoded, columns=read_columns, metadata={"source": origin, **extra})


def _digest_of(source: Path) -> str | None:
    """SHA-256 of all JSON files of a folder, by name; None for a file, which is hashed as it is."""
    if source.is_file():
        return None
    digest = hashlib.sha256()
    for file in sorted(source.rglob("*.json")):
        digest.update(file.relative_to(source).as_posix().encode() + file.read_bytes())
    return digest.hexdigest()


def _schema(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(path)
        _ = schema.names  # which may be no UTF-8 text
        return schema
    except (pa.ArrowException, OSError, UnicodeError) as error:
        raise BenchmarkError(f"{path} is damaged or no Parquet file ({str(error)[:120]}); fetch it again") from None


def _read(
    kind: str,
    source: Path,
    progress: Callable[[int], None],
    space: str,
    dataset: str,
    architecture: str,
    columns: Mapping[str, str],
    accuracy: str,
    metric: str,
    percent: bool,
    seeds: bool,
    memory_gb: float,
    curves: bool,
) -> tuple[dict[str, Any], list[Column], str | None, dict[str, Any], str]:
    """(encoded architectures, columns, digest if already known, header entries, space)."""
    if kind == "nasbench101":
        from nas_lightning.benchmarks.convert import nasbench101

        return *nasbench101.read(source, progress), None, {}, "nasbench101"
    if kind in ("nasbench201", "nats"):
        from nas_lightning.benchmarks.convert import nasbench201

        encoded, found, digest = nasbench201.read(source, memory_gb, curves, progress)
        return encoded, found, digest, {}, "nasbench201"
    if kind == "macro":
        from nas_lightning.benchmarks.convert import nasbench_macro

        return *nasbench_macro.read_json(source), None, {}, "nasbench_macro"
    if kind == "nds":
        from nas_lightning.benchmarks.convert import nds

        encoded, found, extra = nds.read(source)
        return encoded, found, None, extra, "darts_nds"
    if kind == "nasbench301":
        from nas_lightning.benchmarks.convert import nasbench301

        return *nasbench301.read(source, progress), _digest_of(source), {}, "darts_nds"
    if kind == "suite_zero":
        from nas_lightning.benchmarks.convert import naslib

        encoded, found, space = naslib.read(source, space)
        return encoded, found, None, {}, space
    if kind == "hw_nas_bench":
        from nas_lightning.benchmarks.convert import hw_nas_bench

        return *hw_nas_bench.read(source), None, {}, "nasbench201"
    if kind == "nasbench360":
        from nas_lightning.benchmarks.convert import nasbench360

        encoded, found, digest = nasbench360.read(source, memory_gb, curves, progress)
        return encoded, found, digest, {}, "nasbench201"
    if kind == "darts214":
        from nas_lightning.benchmarks.convert import darts214

        return *darts214.read(source), None, {}, "darts_nds"
    from nas_lightning.benchmarks.convert import plain

    if kind == "genotypes":
        return (
            *plain.read_genotypes(source, dataset, accuracy, percent=percent, metric=metric, seeds=seeds),
            None,
            {},
            "darts_nds",
        )
    return *plain.read(source, space, dataset, architecture=architecture, mapping=columns, seeds=seeds), None, {}, space
