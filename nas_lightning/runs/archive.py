"""The result files of many runs in one small archive, which the report reads like a folder.

    python -m nas_lightning.runs.archive runs/isolated isolated.tar.xz
    python -m nas_lightning.report isolated.tar.xz --out report/

Result, ranking, metrics and timings of every run go in; checkpoints, pictures, and the configuration with its paths do
not. The same runs give the same bytes.
"""

from __future__ import annotations

import io
import lzma
import sys
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from nas_lightning.errors import UserError
from nas_lightning.processes.output import forgiving_output
from nas_lightning.runs.files import remove_leftovers, write_atomically
from nas_lightning.runs.json_file import clean
from nas_lightning.runs.reading import find_runs
from nas_lightning.runs.temporary import temporary_folder

SUFFIXES = (".tar.xz", ".tar.gz", ".tar")
KEPT = ("result.json", "ranking.parquet", "metrics.csv", "timings.json", "search.csv", "distribution.csv", "error.txt")


def pack(folder: Path, out: Path) -> int:
    """Write the archive `out` (.tar.xz) of all runs in and below `folder`; returns their number.

    Raises UserError where there are none, or for another ending.
    """
    if not out.name.endswith(".tar.xz"):
        raise UserError(f"{out} must end in .tar.xz")
    runs, root, buffer = find_runs([folder]), folder.resolve(), io.BytesIO()
    # Files of one kind are much alike: side by side they compress several times better.
    files = [run.path.resolve() / name for name in KEPT for run in runs if (run.path / name).is_file()]
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for file in files:
            content = file.read_bytes()
            entry = tarfile.TarInfo(file.relative_to(root).as_posix())
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    remove_leftovers(out.parent)
    write_atomically(out, lzma.compress(buffer.getvalue(), preset=9 | lzma.PRESET_EXTREME))
    return len(runs)


@contextmanager
def unpacked(inputs: Sequence[str | Path]) -> Iterator[list[Path]]:
    """The same list with every archive replaced by a temporary folder of its files, gone when the block ends.

    Members that would leave the folder, links and devices are refused, and archives of more than
    `MOST_FILES` files, `MOST_BYTES` unpacked, or `DEEPEST` nested folders. What a kill has left is removed by the next
    call. Raises UserError for an archive that is damaged, hostile or too large.
    """
    with ExitStack() as stack:
        found = []
        for given in map(Path, inputs):
            if not given.name.endswith(SUFFIXES) or given.is_dir():
                found.append(given)
                continue
            if not hasattr(tarfile, "data_filter"):
                raise UserError(f"{given}: this Python unpacks no archives safely; use 3.11.4 or newer, or unpack it")
            folder = stack.enter_context(temporary_folder("report"))
            try:
                with tarfile.open(given) as archive:
                    _extract(archive, given, folder / "runs")
            except FileNotFoundError:
                raise UserError(f"{given} does not exist; give run folders, or an archive of them") from None
            except (tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, OSError, ValueError, LookupError) as error:
                if isinstance(error, UserError):
                    raise
                said = clean(str(error).partition("\n")[0])[:160]
                raise UserError(f"{given} is no intact archive of runs ({said})") from None
            found.append(folder / "runs")
        yield found


MOST_FILES, MOST_BYTES, DEEPEST = 200_000, 4 << 30, 16


def _extract(archive: tarfile.TarFile, given: Path, folder: Path) -> None:
    folder.mkdir()
    size = count = 0
    for member in archive:
        size, count = size + max(0, member.size), count + 1
        if count > MOST_FILES or size > MOST_BYTES:
            most = f"{MOST_FILES:,} files or {MOST_BYTES >> 30} GiB"
            raise UserError(f"{given} holds more than {most}; unpack it yourself if you trust it")
        if member.name.count("/") > DEEPEST:
            raise UserError(f"{given} holds folders nested more than {DEEPEST} deep; no archive of runs does")
        if not (member.isreg() or member.isdir()):
            raise UserError(f"{given} holds {clean(member.name)[:60]!r}, which is neither file nor folder")
        archive.extract(member, folder, filter="data", set_attrs=False)


def main(arguments: Sequence[str]) -> int:
    """Returns the exit status: 0, or 2 with one sentence on standard error."""
    if len(arguments) != 2 or arguments[0].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        count = pack(Path(arguments[0]), Path(arguments[1]))
    except OSError as error:
        print(f"archive: {arguments[1]} cannot be written ({error.strerror}); choose another file", file=sys.stderr)
        return 2
    except UserError as error:
        print(f"archive: {error}", file=sys.stderr)
        return 2
    print(f"{arguments[1]} ({count} runs, {Path(arguments[1]).stat().st_size / 1e3:.0f} kB)")
    return 0


if __name__ == "__main__":
    forgiving_output()
    sys.exit(main(sys.argv[1:]))
