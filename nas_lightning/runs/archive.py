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
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from nas_lightning.errors import UserError
from nas_lightning.runs.files import write_atomically
from nas_lightning.runs.reading import find_runs

SUFFIXES = (".tar.xz", ".tar.gz", ".tar")
KEPT = ("result.json", "ranking.parquet", "metrics.csv", "timings.json", "search.csv", "error.txt")


def pack(folder: Path, out: Path) -> int:
    """Write the archive `out` (.tar.xz) of all runs in and below `folder`; returns their number.

    Raises ValueError where there are none, or for another ending.
    """
    if not out.name.endswith(".tar.xz"):
        raise UserError(f"{out} must end in .tar.xz")
    runs, root, buffer = find_runs([folder]), folder.resolve(), io.BytesIO()
    # Files of one kind are much alike: side by side they compress several times better.
    files = [run.path.resolve() / name for name in KEPT for run in runs if (run.path / name).is_file()]
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for file in files:
            content = file.read_bytes()
            entry = tarfile.TarInfo(file.relative_to(root).as_posix())
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    write_atomically(out, lzma.compress(buffer.getvalue(), preset=9 | lzma.PRESET_EXTREME))
    return len(runs)


@contextmanager
def unpacked(inputs: Sequence[str | Path]) -> Iterator[list[Path]]:
    """The same list with every archive replaced by a temporary folder of its files, gone when the block ends.

    Members that would leave the folder, links to elsewhere and devices are refused. Raises ValueError for an archive
    that is damaged or hostile.
    """
    with ExitStack() as stack:
        found = []
        for given in map(Path, inputs):
            if not given.name.endswith(SUFFIXES) or given.is_dir():
                found.append(given)
                continue
            if not hasattr(tarfile, "data_filter"):
                raise UserError(f"{given}: this Python unpacks no archives safely; use 3.11.4 or newer, or unpack it")
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="report_")))
            try:
                with tarfile.open(given) as archive:
                    archive.extractall(folder, filter="data")
            except FileNotFoundError:
                raise UserError(f"{given} does not exist; give run folders, or an archive of them") from None
            except (tarfile.TarError, lzma.LZMAError, EOFError, OSError) as error:
                raise UserError(f"{given} is no intact archive of runs ({error})") from None
            found.append(folder)
        yield found


def main(arguments: Sequence[str]) -> int:
    """Returns the exit status: 0, or 2 with one sentence on standard error."""
    if len(arguments) != 2 or arguments[0].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        count = pack(Path(arguments[0]), Path(arguments[1]))
    except (ValueError, OSError) as error:
        print(f"archive: {error}", file=sys.stderr)
        return 2
    print(f"{arguments[1]} ({count} runs, {Path(arguments[1]).stat().st_size / 1e3:.0f} kB)")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
