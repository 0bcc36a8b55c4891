"""All that is to be done on a GPU, in order and unattended: is it right, how fast is it, how well does it rank?

    python -m perf.gpu_session --out FOLDER --data FOLDER --benchmark nasbench201
    python -m perf.gpu_session --out FOLDER --only quality --minutes 9      # the same again goes on where it was ended

- correctness: `pytest -m gpu`, with its counts and what failed (5 minutes)
- speed: `perf.gpu_nasbench201`, each variant and the whole run (10 minutes)
- quality: `recipe=nasbench201_best`, seed by seed with tied stages and without, each then ranking all architectures
  outside the development set; at last each one's average over the seeds (30 minutes; runs go on in the next call)

Every finding is a line of FOLDER/session.jsonl as soon as it is there; what the commands say is in FOLDER/*.log. A part
that fails or runs out of its time is a line too, and the next part begins. The exit status is 0 where all was done, 1
where something failed, 75 where time ran out. `--device cpu --tiny` is the same at toy size on the digits.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pyarrow import parquet

from nas_lightning.processes.signals import Stopped, handled_by, raise_stopped
from perf.run import environment

ROOT = Path(__file__).parents[1]
MINUTES = {"correctness": 5.0, "speed": 10.0, "quality": 30.0}
GRACE_S = 60.0
"""Seconds that a command has to save and end after it was told to."""
TIMED_OUT, FAILED, DONE = "out of time", "failed", "done"

ARMS = {
    "tied stages": ("heuristics.sharing_curriculum.extent=stage", "heuristics.sharing_curriculum.until=1.0"),
    "cells tied for half": (),  # the recipe as it is
    "untied": ("extra=[]",),
}
UNSEEN = "all-random1000raw_seed0"
"""What no choice of the recipe looked at: it was chosen on the 1,000 development encodings."""
SCORING = ("evaluation.images=1000", "evaluation.batch_size=250", "evaluation.probe_images=2000",
           "evaluation.score=class_separation")  # fmt: skip
TOY = ("plan.mapping.channels=4", "plan.mapping.layers=1", "plan.protocol.epochs=1", "plan.protocol.batch_size=32",
       "evaluation.architectures=random10_seed0", "evaluation.every=0", "evaluation.snapshots=0")  # fmt: skip
TOY_SCORING = ("evaluation.images=100", "evaluation.batch_size=50", "evaluation.probe_images=100",
               "evaluation.score=class_separation")  # fmt: skip
QUOTED = ("n", "kendall_tau", "kendall_tau_interval", "kendall_tau_top10pct", "spearman", "final_search_performance",
          "supernet_accuracy")  # fmt: skip


def execute(command: Sequence[str], log: Path, seconds: float, environ: Mapping[str, str] | None = None) -> str | int:
    """Run a command from the repository's root until it ends or its time does.

    Args:
        command: arguments, the program first.
        log: what the command says is added to this file.
        seconds: after these it gets SIGTERM, and after `GRACE_S` more SIGKILL.
        environ: variables beside this process's.

    Returns:
        Its exit status, or `TIMED_OUT`.
    """
    with log.open("ab") as output:
        child = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, cwd=ROOT, env={**os.environ, **(environ or {})}
        )
        try:
            return child.wait(timeout=max(0.0, seconds))
        except subprocess.TimeoutExpired:
            return TIMED_OUT
        finally:  # nothing is left on the GPU, whatever ends this
            if child.poll() is None:  # out of time, or this process is told to end
                child.send_signal(signal.SIGTERM)
                try:
                    child.wait(timeout=GRACE_S)
                except subprocess.TimeoutExpired:
                    child.kill()
                    child.wait()


def outcome(status: str | int) -> str:
    """Exit status of a command in words: 75 is a run that was told to end and goes on with the same command."""
    return DONE if status == 0 else TIMED_OUT if status in (TIMED_OUT, 75) else FAILED


class Session:
    """The folder of results, and the time that is left for a part."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args, self.out = args, Path(args.out).resolve()
        self.out.mkdir(parents=True, exist_ok=True)
        self.ends = time.monotonic()
        self.outcomes: list[str] = []

    def save(self, part: str, name: str, **found: Any) -> None:
        """One more line of session.jsonl, on disk before anything else is done."""
        line = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "part": part, "name": name, **found}
        with (self.out / "session.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())
        print(json.dumps(line), flush=True)
        self.outcomes += [found["outcome"]] if "outcome" in found else []

    def begin(self, part: str) -> None:
        minutes = MINUTES[part] if self.args.minutes is None else self.args.minutes
        self.ends = time.monotonic() + 60 * minutes

    @property
    def left(self) -> float:
        """Seconds of this part."""
        return self.ends - time.monotonic()


def correctness(session: Session) -> None:
    """The tests of the marker `gpu`, with the sentence of each that failed."""
    args, report = session.args, session.out / "correctness.xml"
    report.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-n", "0", "-p", "no:cacheprovider", "-ra", "-s",
               f"--junitxml={report}", args.tests]  # fmt: skip
    environ = {"NAS_LIGHTNING_GPU_TESTS": "cpu"} if args.device == "cpu" else {"NAS_LIGHTNING_GPU_TESTS": "cuda"}
    status = execute(command, session.out / "correctness.log", session.left, environ)
    found: dict[str, Any] = {"outcome": outcome(status)}
    if report.is_file():
        cases = list(ElementTree.parse(report).iter("testcase"))
        named = {
            kind: {
                f"{c.get('classname')}::{c.get('name')}": str(e.get("message"))[:300]
                for c in cases
                for e in c.iter(tag)
            }
            for kind, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped"))
        }
        found |= {"tests": len(cases), **named, "passed": len(cases) - sum(map(len, named.values()))}
        if not found["passed"] and found["outcome"] == DONE:
            found["outcome"] = FAILED  # all skipped is not a GPU that computes what it should
    session.save("correctness", "pytest -m gpu", **found)


def speed(session: Session) -> None:
    """Each variant of the step, and the whole run of the fastest; what was measured before the time was up counts."""
    args, file = session.args, session.out / "speed.json"
    file.unlink(missing_ok=True)
    command = [sys.executable, "-m", "perf.gpu_nasbench201", "--data", args.data, "--json", str(file)]
    command += ["--device", args.device, *(["--tiny"] if args.tiny else [])]
    status = execute(command, session.out / "speed.log", session.left)
    results = json.loads(file.read_text())["results"] if file.is_file() else {}
    for label, numbers in results.pop("variants", {}).items():
        session.save("speed", label, **numbers)
    for label, numbers in results.items():
        session.save("speed", label, **numbers)
    session.save("speed", "perf.gpu_nasbench201", outcome=outcome(status))


def jobs(args: argparse.Namespace, out: Path) -> Iterator[tuple[str, Path, Callable[[], list[str]]]]:
    """(name, folder, overrides of train.py) of quality, in order; overrides may need the folders of earlier ones."""
    where = [f"trainer.accelerator={'cpu' if args.device == 'cpu' else 'gpu'}", "trainer.progress_bar=false"]
    where += ["data=digits", "benchmark=embedded"] if args.tiny else [
        "data=cifar10", f"data.root={args.data}", f"benchmark={args.benchmark}"]  # fmt: skip
    scoring = TOY_SCORING if args.tiny else SCORING
    unseen = f"evaluation.architectures={'random10_seed1' if args.tiny else UNSEEN}"

    def evaluation(checkpoints: Sequence[Path]) -> list[str]:
        runs = ",".join(str(only_run(folder)) for folder in checkpoints)
        return ["mode=evaluate", f"checkpoint=[{runs}]", unseen, *scoring, *where]

    def trained(arm: str, seed: int) -> Path:
        return out / "runs" / f"{arm.replace(' ', '_')}-seed{seed}"

    for seed in range(args.seeds):  # the first seed of each arm first: what is unfinished still compares them
        for arm in args.arms:
            folder = trained(arm, seed)
            toy = [*TOY, *TOY_SCORING] if args.tiny else []
            overrides = ["recipe=nasbench201_best", *ARMS[arm], f"seed={seed}", *toy, *where, *args.overrides]
            yield f"train: {arm}, seed {seed}", folder, lambda overrides=overrides: overrides
            ranked = folder.with_name(f"{folder.name}-unseen")
            yield f"unseen: {arm}, seed {seed}", ranked, lambda folder=folder: evaluation([folder])
    for arm in args.arms if args.seeds > 1 else ():
        nets = [trained(arm, seed) for seed in range(args.seeds)]
        folder = out / "runs" / f"{arm.replace(' ', '_')}-average-unseen"
        yield f"unseen: {arm}, average of {args.seeds} seeds", folder, lambda nets=nets: evaluation(nets)


def only_run(folder: Path) -> Path:
    """The run folder inside `folder`, which holds one. Raises FileNotFoundError."""
    runs = sorted(path.parent for path in folder.glob("*/result.json"))
    if len(runs) != 1:
        raise FileNotFoundError(f"{folder} holds {len(runs)} complete runs, not one: give --out another folder")
    return runs[0]


def ranked(run: Path) -> dict[str, Any]:
    """What a complete run says of its ranking, and each column's top pick: its stand-alone accuracy, a fraction."""
    metrics = json.loads((run / "result.json").read_text())["metrics"]
    columns = parquet.read_table(run / "ranking.parquet").to_pydict()
    truth = columns.get("standalone_accuracy", [])
    known = [i for i, accuracy in enumerate(truth) if accuracy is not None and not math.isnan(accuracy)]
    picks = {}
    for name, values in columns.items():
        usable = [i for i in known if isinstance(values[i], int | float)]
        if usable and not name.startswith(("standalone_", "optimization_gap")):  # which know the truth
            picks[name] = truth[max(usable, key=lambda i: values[i])]
    quoted = {name: {key: own[key] for key in QUOTED if key in own} for name, own in metrics.items()}
    return {"run": run.name, "metrics": quoted, "top_picks": picks}


def quality(session: Session) -> None:
    """Train and rank, one job after the other; a job that is complete costs nothing but its start."""
    for name, folder, overrides in jobs(session.args, session.out):
        if session.left <= 0:
            session.save("quality", name, outcome=TIMED_OUT)
            return
        try:
            typed = overrides()
        except FileNotFoundError as error:  # its training failed, which is a line of its own
            session.save("quality", name, outcome=FAILED, reason=str(error))
            continue
        log = session.out / f"{folder.name}.log"
        started = time.monotonic()
        command = [sys.executable, str(ROOT / "train.py"), *typed, f"runs={folder}"]
        ended = outcome(execute(command, log, session.left))
        found: dict[str, Any] = {"outcome": ended, "seconds": round(time.monotonic() - started, 1)}
        if ended == DONE:
            found |= ranked(only_run(folder))
        session.save("quality", name, **found)


PARTS: dict[str, Callable[[Session], None]] = {"correctness": correctness, "speed": speed, "quality": quality}


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "overrides", nargs="*", help="of train.py for the trainings, such as trainer.precision=bf16-mixed"
    )
    parser.add_argument("--out", required=True, help="folder of results; the same one again goes on")
    parser.add_argument("--only", choices=list(PARTS), nargs="+", default=list(PARTS), help="parts, all by default")
    parser.add_argument("--minutes", type=float, help="of each part, in place of 5, 10 and 30")
    parser.add_argument("--data", default="data", help="folder that holds cifar-10-batches-py")
    parser.add_argument("--benchmark", default="nasbench201", help="table of truth: its name, or its absolute path")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--arms", choices=list(ARMS), nargs="+", default=list(ARMS)[:2])
    parser.add_argument("--tests", default="tests/gpu", help="folder or file of the tests of correctness")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--tiny", action="store_true", help="toy size on the embedded digits: does everything run?")
    args = parser.parse_intermixed_args(arguments)
    if args.device == "cpu" and not args.tiny:
        parser.error("at full size this is days on a CPU; add --tiny, or leave out --device")
    return args


def gpu_name() -> str | None:
    """The card as PyTorch names it, asked for in another process: this one must not hold memory on it."""
    code = "import torch; print(torch.cuda.get_device_name() if torch.cuda.is_available() else '')"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    return said.stdout.strip() or None


def work(session: Session, card: str | None) -> None:
    """All parts that were asked for, the first line saying on what."""
    session.save("session", "begins", gpu=card, environment=environment(), arguments=vars(session.args))
    for part in session.args.only:
        session.begin(part)
        try:
            PARTS[part](session)
        except Exception as error:  # the next part may still be measured
            session.save(part, "ended early", outcome=FAILED, reason=f"{type(error).__name__}: {error}")


def main(arguments: list[str] | None = None) -> int:
    args = parse(arguments)
    args.data = str(Path(args.data).resolve())  # commands start in the repository's root
    card = None if args.device == "cpu" else gpu_name()
    if args.device == "cuda" and card is None:
        print("no CUDA device is there; --device cpu --tiny checks that everything runs", file=sys.stderr)
        return 2
    session = Session(args)
    try:
        with handled_by(raise_stopped):
            work(session, card)
    except Stopped as stop:  # the command under way has been told to end, and has
        print(stop, file=sys.stderr)
        return stop.exit_code
    return 1 if FAILED in session.outcomes else 75 if TIMED_OUT in session.outcomes else 0


if __name__ == "__main__":
    sys.exit(main())
