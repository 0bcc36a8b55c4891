"""Peak memory of reading one's own images: a folder, a Parquet set and an .npz of the same ones, and of training parts.

    python perf/data_memory.py /tmp/folder                  # 400 MB of 64 x 64 colour images, made up
    python perf/data_memory.py /tmp/folder --megabytes 100 --kinds npz

Each is read in two fresh processes, one that fills the cache and one that finds it filled, as a run reads it: the hash
of the content, then the training, validation and test part. What is printed is the most that the process's resident
set (VmHWM, mapped pages of files included) rose above what it was after all imports, in units of the decoded images.
Linux.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

SIDE, CLASSES, TEST_SHARE = 64, 10, 0.2
KINDS = ("folder", "parquet", "npz")


def images(split: int, start: int, stop: int) -> np.ndarray:
    """uint8 [N, 64, 64, 3]: noise, which no format makes smaller."""
    rng = np.random.default_rng((split, start))
    return rng.integers(0, 256, (stop - start, SIDE, SIDE, 3), dtype=np.uint8)


def encoded(image: np.ndarray) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PNG", compress_level=1)
    return stream.getvalue()


def write(root: Path, megabytes: float) -> None:
    """The same images as a folder, as Parquet files and as one .npz; in parts, so that this process stays small."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    total = int(megabytes * 1e6 / (SIDE * SIDE * 3))
    counts = {"train": total - int(TEST_SHARE * total), "test": int(TEST_SHARE * total)}
    arrays: dict[str, np.ndarray] = {}
    (root / "parquet").mkdir(parents=True)
    for part, (split, n) in enumerate(counts.items()):
        for name in range(CLASSES):
            (root / "folder" / split / f"class{name}").mkdir(parents=True)
        whole = np.lib.format.open_memmap(root / f"{split}.npy", mode="w+", dtype=np.uint8, shape=(n, SIDE, SIDE, 3))
        schema = pa.schema({"image": pa.struct({"bytes": pa.binary(), "path": pa.string()}), "label": pa.int64()})
        with pq.ParquetWriter(root / "parquet" / f"{split}-00000.parquet", schema) as out:
            for at in range(0, n, 500):
                some = whole[at : at + 500] = images(part, at, min(n, at + 500))
                cells = [encoded(image) for image in some]
                labels = [(at + i) % CLASSES for i in range(len(some))]
                for i, (cell, label) in enumerate(zip(cells, labels, strict=True)):
                    (root / "folder" / split / f"class{label}" / f"{at + i:06}.png").write_bytes(cell)
                rows = {"image": [{"bytes": cell, "path": None} for cell in cells], "label": labels}
                out.write_table(pa.table(rows, schema=schema))
        arrays |= {f"{split}_images": whole, f"{split}_labels": np.arange(n) % CLASSES}
    np.savez(root / "images.npz", **arrays)


def status(field: str) -> int:
    """Bytes that Linux says of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def read(kind: str, path: str) -> dict[str, float]:
    """Reads a set as a run does, and says what it cost."""
    import pyarrow.parquet  # noqa: F401
    import rich.progress  # noqa: F401
    from PIL import Image

    from nas_lightning.data.find import make_task

    Image.init()
    section = {
        "name": "mine",
        "_target_": f"nas_lightning.data.sources.{kind}.{kind.capitalize()}",
        "settings": {"path": path},
    }
    task = make_task(section, batch_size=64, train_portion=0.8, seed=0)
    before = status("VmRSS")
    task.content_sha256()
    task.setup()
    task.loader().batch(0)
    sizes = [task.size(split) for split in ("train", "validation", "test")]
    images = sum(sizes) * SIDE * SIDE * 3
    return {"images_mb": images / 1e6, "peak": (status("VmHWM") - before) / images, "rest": status("RssAnon") / 1e6}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--megabytes", type=float, default=400)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--read", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.read:
        print(json.dumps(read(args.read, str(args.folder))))
        return
    root = args.folder / f"images_{args.megabytes:g}mb"
    if not (root / "images.npz").is_file():
        shutil.rmtree(root, ignore_errors=True)
        write(root, args.megabytes)
    cache = args.folder / "cache"
    shutil.rmtree(cache, ignore_errors=True)
    for kind in args.kinds:
        path = root / ("images.npz" if kind == "npz" else kind)
        for cached in ("decoded", "from the cache"):
            command = [sys.executable, __file__, str(path), "--read", kind]
            environment = {**os.environ, "NAS_LIGHTNING_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
            done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
            found = json.loads(done.stdout.splitlines()[-1])
            print(
                f"{kind:8} {cached:15} {found['images_mb']:.0f} MB of images: resident memory rose by at most "
                f"{found['peak']:.2f} times them"
            )


if __name__ == "__main__":
    main()
