"""The rest of the picture: input pipeline, start-up, memory, and what this machine can do at most."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

from nas_lightning.data.images import Augment, ImageSet, Normalize
from nas_lightning.data.module import KeyedLoader
from perf.measure import milliseconds, spread
from perf.step import CASES, measure_case

ROOT = Path(__file__).resolve().parent.parent


def data(quick: bool) -> dict[str, Any]:
    """One augmented, normalised batch of 128 images of 32x32, and its share of the step of recipe nasbench201_cpu."""
    images = torch.randint(0, 256, (20_000, 32, 32, 3), dtype=torch.uint8)
    loader = KeyedLoader(
        ImageSet(images, torch.zeros(20_000, dtype=torch.int64)),
        128,
        0,
        Augment(4, True),
        Normalize((0.5,) * 3, (0.25,) * 3),
        lambda: 0,
    )
    steps = iter(range(1000))
    batch = milliseconds(lambda: loader.batch(next(steps)), 5 if quick else 40)
    case = next(case for name, case in CASES.items() if "nasbench201_cpu" in name)
    step = measure_case(*case, n=2 if quick else 8, rounds=1 if quick else 3)
    return {"batch_ms": batch, "step_ms": step["ours_ms"], "share": batch["median"] / step["ours_ms"]}


LAUNCHER = """
import json, os, subprocess, sys, time
started = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
seconds = time.perf_counter() - started, usage.ru_utime + usage.ru_stime
print(json.dumps([*seconds, usage.ru_maxrss / 1024, os.waitstatus_to_exitcode(status)]))
"""
"""Starts a command from a process of its own: a peak begins with the size of whoever started it, here torch's."""


def child(command: list[str]) -> tuple[float, float, float]:
    """(wall seconds, processor seconds, peak resident MB) of a fresh process. Raises RuntimeError where it fails."""
    launcher = [sys.executable, "-c", LAUNCHER, *command]
    run = subprocess.run(launcher, cwd=ROOT, capture_output=True, text=True, check=True)
    wall, processor, peak, code = json.loads(run.stdout)
    if code:
        raise RuntimeError(f"{' '.join(command)} failed with exit status {code}")
    return wall, processor, peak


LIBRARY = "import nas_lightning, nas_lightning.spaces, nas_lightning.benchmarks, nas_lightning.plan, sys; "
STARTS = {
    "train.py --help": [sys.executable, "train.py", "--help"],
    "search.py --help": [sys.executable, "search.py", "--help"],
    "import of package, spaces, tables": [sys.executable, "-c", LIBRARY + "sys.exit('torch' in sys.modules)"],
    "import torch (for comparison)": [sys.executable, "-c", "import torch"],
}


def start(quick: bool) -> dict[str, Any]:
    """Wall and processor seconds of fresh processes."""
    found: dict[str, Any] = {}
    for name, command in STARTS.items():
        runs = [child(command) for _ in range(1 if quick else 3)]
        found[name] = {"wall_s": spread([r[0] for r in runs]), "processor_s": spread([r[1] for r in runs])}
    return found


def memory(quick: bool) -> dict[str, Any]:
    """Peak resident set of the job on plain digits (one epoch where quick) and of opening NAS-Bench-101."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "train.py", "data=digits", f"runs={folder}", "trainer.progress_bar=false"]
        wall, processor, peak = child(command + (["heuristics.epochs.value=1"] if quick else []))
        found["import torch (for comparison)"] = {"peak_mb": child(STARTS["import torch (for comparison)"])[2]}
        found["embedded job"] = {"wall_s": wall, "processor_s": processor, "peak_mb": peak}
    tables = os.environ.get("NAS_LIGHTNING_BENCHMARKS")
    if tables and (Path(tables) / "nasbench101.parquet").exists():
        path = str(Path(tables) / "nasbench101.parquet")
        code = "from nas_lightning.benchmarks import Benchmark; import sys; t = Benchmark.open(sys.argv[1]); "
        code += "print(t.query(str(t.sample(1, 0)[0])).accuracy)"
        child([sys.executable, "-c", code, path])  # converts at the first time
        wall, processor, peak = child([sys.executable, "-c", code, path])
        found["open NAS-Bench-101 and ask"] = {"wall_s": wall, "processor_s": processor, "peak_mb": peak}
    return found


def roofline(quick: bool) -> dict[str, Any]:
    """Measured peaks, and what the operations of these networks reach of them (float32)."""
    repeats = 3 if quick else 15
    found: dict[str, Any] = {}

    def rate(name: str, call: Callable[[], Any], work: float, unit: str) -> None:
        ms = milliseconds(call, repeats)
        found[name] = {unit: work / ms["median"] / 1e6, "ms": ms}

    with torch.inference_mode():
        a = torch.randn(1024, 1024)
        rate("matrix product 1024", lambda: a @ a, 2 * 1024**3, "gflops")
        big = torch.randn(32 * 2**20)
        out = torch.empty_like(big)
        rate("copy of 128 MB", lambda: out.copy_(big), 2 * big.nbytes, "gb_per_s")
        for channels, side in ((8, 32), (16, 32), (16, 16), (32, 16), (32, 8), (64, 8), (128, 32)):
            x = torch.randn(128 if channels < 128 else 16, channels, side, side).to(memory_format=torch.channels_last)
            weight = torch.randn(channels, channels, 3, 3).to(memory_format=torch.channels_last)
            one = torch.ones(channels)
            label = f"{channels} channels, {side}x{side}"
            work = 18 * channels * x.numel()
            rate(f"conv3x3, {label}", lambda x=x, w=weight: F.conv2d(x, w, padding=1), work, "gflops")
            rate(
                f"batch norm, {label}",
                lambda x=x, one=one: F.batch_norm(x, None, None, one, one, training=True),
                2 * x.nbytes,
                "gb_per_s",
            )
    return found
