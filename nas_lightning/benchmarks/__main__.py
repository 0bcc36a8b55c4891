"""``python -m nas_lightning.benchmarks``: list, info, verify and convert stand-alone tables."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nas_lightning.benchmarks.convert.command import FORMATS, convert
from nas_lightning.benchmarks.errors import BenchmarkError
from nas_lightning.benchmarks.registry import KNOWN
from nas_lightning.errors import UserError, one_sentence
from nas_lightning.processes.output import forgiving_output
from nas_lightning.processes.signals import INTERRUPTED, Stopped, stoppable
from nas_lightning.spaces import get_space


def _gigabytes(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number <= 1e6:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is no size; give a number of gigabytes above 0")
    return number


def parser() -> argparse.ArgumentParser:
    """The command line."""
    main = argparse.ArgumentParser(prog="python -m nas_lightning.benchmarks", description=__doc__)
    commands = main.add_subparsers(dest="command", required=True)
    listing = commands.add_parser("list", help="tables in the package, in the data folder, and known official files")
    listing.add_argument("--root", help="data folder (default: NAS_LIGHTNING_BENCHMARKS, NAS_LIGHTNING_DATA, ./data)")
    info = commands.add_parser("info", help="what a table holds, or where an official file is published")
    info.add_argument("name", help="name of a known benchmark, name of a table, or path")
    info.add_argument("--root", help="data folder (default: NAS_LIGHTNING_BENCHMARKS, NAS_LIGHTNING_DATA, ./data)")
    verify = commands.add_parser("verify", help="check a table's checksums, or an official file's SHA-256")
    verify.add_argument("path", help="a table (.arrow, .parquet or its name) or an official file")
    verify.add_argument("--root", help="data folder (default: NAS_LIGHTNING_BENCHMARKS, NAS_LIGHTNING_DATA, ./data)")
    verify.add_argument("--sha256", help="what the file's SHA-256 should be (default: as the authors publish it)")
    make = commands.add_parser(
        "convert", help="convert an official file", formatter_class=argparse.RawTextHelpFormatter
    )
    make.add_argument(
        "format", choices=FORMATS, metavar="format", help="\n".join(f"{name}: {text}" for name, text in FORMATS.items())
    )
    make.add_argument("file", help="the official file or folder")
    make.add_argument("out", help="the table to write, .arrow or .parquet")
    make.add_argument(
        "--memory-gb", type=_gigabytes, default=8.0, help="largest memory for one-piece pickles (default: 8)"
    )
    make.add_argument("--curves", action="store_true", help="keep NATS-Bench's 200-epoch learning curves")
    make.add_argument(
        "--space",
        default="darts_nds",
        help="formats table and suite_zero: the search space, a name or the dotted path of one's own",
    )
    make.add_argument("--dataset", default="cifar10", help="formats table and genotypes: the data set")
    make.add_argument("--architecture", default="architecture", help="format table: column of architecture strings")
    make.add_argument(
        "--column",
        action="append",
        default=[],
        metavar="OURS=THEIRS[:percent]",
        help="format table: as test_accuracy=acc:percent; repeat for more columns",
    )
    make.add_argument("--accuracy", default="accuracy", help="format genotypes: column of accuracies")
    make.add_argument("--metric", default="test_accuracy", help="format genotypes: what the accuracies are")
    make.add_argument(
        "--seeds",
        action="store_true",
        help="formats table and genotypes: rows of one architecture are repeated trainings, kept apart",
    )
    make.add_argument("--percent", action="store_true", help="format genotypes: accuracies are percents")
    return main


def _print_table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    console.print(title, style="bold", soft_wrap=True, highlight=False)
    table = Table()
    for name in head:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def run_list(root: str | None) -> None:
    """Print the tables that can be opened by name, and the known official files."""
    from nas_lightning.benchmarks.locate import embedded_names, named_tables

    _print_table(
        "Tables",
        ("name", "where"),
        [(name, "package") for name in embedded_names()] + [(name, str(path)) for name, path in named_tables(root)],
    )
    _print_table(
        "Known official files (never downloaded by this program)",
        ("name", "space", "file", "size"),
        [(name, entry.space, entry.file, entry.size or "not published") for name, entry in KNOWN.items()],
    )


def run_info(name: str, root: str | None) -> None:
    """Print a registry entry, and the header of the table if there is one."""
    from nas_lightning.benchmarks.benchmark import Benchmark

    entry = KNOWN.get(name)
    if entry is not None:
        facts = {
            "space": entry.space,
            "data sets": ", ".join(entry.datasets),
            "published": entry.published,
            "file": entry.file,
            "size": entry.size or "not published",
            "SHA-256": entry.sha256 or "not published",
            "license": entry.license,
            "citation": entry.citation,
            "convert": f"python -m nas_lightning.benchmarks convert {entry.convert}",
            "note": entry.note,
        }
        _print_table(name, ("", ""), [(key, value) for key, value in facts.items() if value])
    try:
        table = Benchmark.open(name, root=root)
    except BenchmarkError:
        if entry is None:
            raise
        return
    meta: dict[str, Any] = table.metadata
    _print_table(
        f"{table.path}: {len(table)} architectures of {table.space}",
        ("", ""),
        [
            (key, str(value))
            for key, value in meta.items()
            if key not in ("columns", "format", "version", "rows", "space")
        ],
    )
    _print_table(
        "Columns",
        ("name", "meaning"),
        [(column, ", ".join(f"{k} {v}" for k, v in meaning.items())) for column, meaning in meta["columns"].items()],
    )


def run_verify(path: str, root: str | None, sha256: str | None) -> None:
    """Check a file. Raises BenchmarkError where it is not what it should be."""
    from nas_lightning.benchmarks.locate import locate, sha256_of
    from nas_lightning.benchmarks.table_file import verify_columns

    file = Path(path).expanduser()
    official = next((e for e in KNOWN.values() if e.sha256 and file.is_file() and Path(e.file).name == file.name), None)
    expected = sha256 or (official.sha256 if official else None)
    if expected:
        if not file.is_file():
            raise BenchmarkError(f"{file} does not exist; give the file whose SHA-256 is to be compared")
        found = sha256_of(file)
        if found != expected.lower():
            raise BenchmarkError(f"{file} has SHA-256 {found}, not {expected}; fetch it again")
        print(f"{file}: SHA-256 {found} as expected")
        return
    if file.is_file() and file.suffix not in (".arrow", ".parquet"):
        print(f"{file}: SHA-256 {sha256_of(file)}; no published checksum is known to compare it with")
        return
    opened, table, header = locate(path, root)
    verify_columns(opened, table, header)
    print(f"{opened}: {header['rows']} rows, {len(header['crc32'])} columns, all checksums match")


def main(argv: list[str] | None = None) -> int:
    """Run the command line; 1 and one sentence on standard error where something is wrong."""
    args = parser().parse_args(argv)
    try:
        with stoppable():  # so that nothing half-written stays
            return _run(args)
    except (UserError, OSError) as error:
        where = f"{error.filename}: " if isinstance(error, OSError) and error.filename else ""
        print(f"error: {one_sentence(where + str(getattr(error, 'strerror', None) or error))}", file=sys.stderr)
        return 1
    except (Stopped, KeyboardInterrupt) as stopped:
        print("interrupted; nothing was written", file=sys.stderr)
        return getattr(stopped, "exit_code", INTERRUPTED)


def _run(args: argparse.Namespace) -> int:
    if args.command == "list":
        run_list(args.root)
    elif args.command == "info":
        run_info(args.name, args.root)
    elif args.command == "verify":
        run_verify(args.path, args.root, args.sha256)
    else:
        mapping = dict(pair.split("=", 1) for pair in args.column if "=" in pair)
        if len(mapping) < len(args.column):
            raise BenchmarkError("--column needs the form OURS=THEIRS, as in test_accuracy=acc:percent; name each once")
        out = convert(
            args.format,
            args.file,
            args.out,
            space=get_space(args.space).name,
            dataset=args.dataset,
            architecture=args.architecture,
            columns=mapping,
            accuracy=args.accuracy,
            metric=args.metric,
            percent=args.percent,
            seeds=args.seeds,
            memory_gb=args.memory_gb,
            curves=args.curves,
            show_progress=True,
        )
        print(f"wrote {out} ({out.stat().st_size / 1e6:.1f} MB)")
    return 0


if __name__ == "__main__":
    forgiving_output()
    sys.exit(main())
