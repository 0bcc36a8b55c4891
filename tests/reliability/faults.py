"""Kills at chosen moments: a run is killed (SIGKILL) again and again, and must end with the undisturbed run's bytes.

One process imports everything once and forks a child for every attempt, so that an attempt costs its training and
nothing else; the child is a process of its own, and SIGKILL is final for it. The moments are counted events of the
child, which makes them reproducible and lets them hit what a clock seldom hits, such as between writing a file and
renaming it: a training step, a scoring, opening, writing (half of it), flushing and renaming a file.

    python tests/reliability/faults.py --kills 6 --seed 0 --out outcomes.json
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from nas_lightning.config.messages import run_main  # noqa: E402  found by the line before it
from tests.reliability.scenarios import MOST, SCENARIOS, STOPS  # noqa: E402

KINDS = ("step", "score", "checkpoint", "journal", "result")
LIMIT_S = 600  # an attempt that lasts longer hangs


class Moments:
    """Counts the events of this process by kind; at the `number`-th event of `kind` it sends itself a signal, or, for
    an errno in place of a signal, lets every file operation of that kind fail from then on."""

    def __init__(self, folder: Path, kind: str | None, number: int, fault: signal.Signals | int) -> None:
        self.folder, self.kind, self.number, self.fault = str(folder), kind, number, fault
        self.seen: Counter[str] = Counter()

    def happen(self, kind: str, before_death: Callable[[], Any] | None = None, takes_room: bool = True) -> None:
        self.seen[kind] += 1
        if kind != self.kind or self.seen[kind] < self.number:
            return
        if not isinstance(self.fault, signal.Signals):
            if takes_room:  # to rename and to remove works on a full disk
                raise OSError(self.fault, os.strerror(self.fault), f"{self.folder}/{kind}")
            return
        if self.seen[kind] == self.number:
            if self.fault == signal.SIGKILL and before_death is not None:
                before_death()
            os.kill(os.getpid(), self.fault)

    def kind_of(self, path: Any) -> str | None:
        if not isinstance(path, str | bytes | os.PathLike) or not os.fsdecode(path).startswith(self.folder):
            return None
        name = os.path.basename(os.fsdecode(path))
        return "checkpoint" if ".ckpt" in name else "journal" if name.startswith("journal") else "result"

    def watch(self) -> None:
        """Patch this (forked) process: nothing of it reaches the parent."""
        import torch
        from torch.nn import functional

        def audit(event: str, arguments: tuple[Any, ...]) -> None:
            if event in ("open", "os.rename", "os.remove"):
                if event == "open" and not (arguments[2] & (os.O_WRONLY | os.O_RDWR)):
                    return
                kind = self.kind_of(arguments[0])
                if kind is not None:
                    self.happen(kind, takes_room=event == "open")

        def of_descriptor(descriptor: int) -> str | None:
            with suppress(OSError):
                return self.kind_of(os.readlink(f"/proc/self/fd/{descriptor}"))
            return None

        plain_write, plain_fsync, plain_loss = os.write, os.fsync, functional.cross_entropy

        def write(descriptor: int, content: Any) -> int:
            kind = of_descriptor(descriptor)
            if kind is not None:
                self.happen(kind, lambda: plain_write(descriptor, bytes(content)[: len(content) // 2]))
            return plain_write(descriptor, content)

        def fsync(descriptor: int) -> None:
            kind = of_descriptor(descriptor)
            if kind is not None:
                self.happen(kind)
            plain_fsync(descriptor)

        def loss(*arguments: Any, **options: Any) -> Any:
            self.happen("step" if torch.is_grad_enabled() else "score")
            return plain_loss(*arguments, **options)

        sys.addaudithook(audit)
        os.write, os.fsync, functional.cross_entropy = write, fsync, loss  # type: ignore[assignment]


def attempt(
    task: Callable[[], Any],
    folder: Path,
    kind: str | None = None,
    number: int = 0,
    fault: signal.Signals | int = signal.SIGKILL,
) -> tuple[str, Counter]:
    """Run `task` in a child as a command does.

    Returns ``killed``, ``finished`` or ``exit <code>: <what it said>``, and the events of an attempt that finished.
    """
    report = tempfile.TemporaryFile("w+")  # noqa: SIM115  the child writes it, too
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            import torch

            torch.set_num_threads(1)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            os.dup2(report.fileno(), 2)
            moments = Moments(folder, kind, number, fault)
            moments.watch()
            run_main(task)
            sys.stderr.flush()  # it writes to the same file
            report.truncate(0)
            report.seek(0)
            json.dump(moments.seen, report)
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            report.flush()
            os._exit(code)
    deadline = time.monotonic() + LIMIT_S
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            break
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return "exit ?: it hangs", Counter()
        time.sleep(0.005)
    report.seek(0)
    said = report.read()
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return "killed", Counter()
    if os.WEXITSTATUS(status):
        return f"exit {os.WEXITSTATUS(status)}: {said}", Counter()
    return "finished", Counter(json.loads(said))


# --- what a folder must look like ------------------------------------------------------------------------------------


def looks_wrong(folder: Path) -> list[str]:
    """Files below `folder` that look complete and are not, after a kill at whatever moment."""
    import pyarrow.parquet as pq
    from PIL import Image

    from nas_lightning.training.checkpoint_file import read_checkpoint

    readers: dict[str, Callable[[Path], Any]] = {
        ".ckpt": read_checkpoint,
        ".json": lambda path: json.loads(path.read_text()),
        ".parquet": pq.read_table,
        ".png": lambda path: Image.open(path).load(),
        ".yaml": lambda path: path.read_bytes().decode().index("\n"),
        ".csv": lambda path: path.read_text().splitlines()[0],
    }
    wrong = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.startswith(".") and path.suffix in readers:
            try:
                readers[path.suffix](path)
            except Exception as error:
                wrong.append(f"{path.name}: {type(error).__name__}: {error}")
    for result in folder.rglob("result.json"):
        needed = {
            "train": ("config.yaml", "environment.json", "metrics.csv", "ranking.parquet", "checkpoints/final.ckpt"),
            "table": ("config.yaml", "environment.json", "table.parquet"),
            "search": ("config.yaml", "environment.json", "search.csv"),
        }[json.loads(result.read_text())["kind"]]
        wrong += [f"result.json without {name}" for name in needed if not (result.parent / name).is_file()]
    return wrong


def content(folder: Path) -> dict[str, Any]:
    """What must be equal to the last bit: result files as bytes, checkpoints and tables as values, times left out."""
    import pyarrow.parquet as pq

    from nas_lightning.training.checkpoint_file import read_checkpoint

    (run,) = [path.parent for path in folder.rglob("result.json")]
    found: dict[str, Any] = {}
    for name in ("result.json", "ranking.parquet", "metrics.csv", "search.csv", "ranking.png"):
        if (run / name).exists():
            found[name] = (run / name).read_bytes()
    if (run / "table.parquet").exists():
        table = pq.read_table(run / "table.parquet")
        found["table.parquet"] = {n: table[n].to_pylist() for n in table.column_names if "seconds" not in n}
    if (run / "checkpoints/final.ckpt").exists():
        checkpoint = read_checkpoint(run / "checkpoints/final.ckpt")
        kept = ("state_dict", "optimizer_states", "callbacks", "global_step", "epoch")
        found["final.ckpt"] = {name: checkpoint[name] for name in kept}
    return found


def same(one: Any, other: Any) -> bool:
    """Equal to the last bit, tensors included."""
    import torch

    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other) or (one != one and other != other)


def task_of(script: str, overrides: tuple[str, ...], folder: Path) -> Callable[[], Any]:
    """The job as the command line composes it, ready to be called in a child."""
    from hydra import compose, initialize_config_dir

    from nas_lightning.config import schema as config
    from nas_lightning.config import search_schema as search_config

    (config if script == "train" else search_config).register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        composed = compose(script, [*overrides, f"runs={folder}"])
    if script == "train":
        from nas_lightning.modes.main import train

        return lambda: train(composed)
    from nas_lightning.modes.search import search

    return lambda: search(composed)


def attack(name: str, kills: int, seed: int, folder: Path) -> dict[str, Any]:
    """Undisturbed once, then killed `kills` times; a run that ends between two kills is compared, and begun anew."""
    script, overrides, kinds = SCENARIOS[name]
    outcome, events = attempt(task_of(script, overrides, folder / "whole"), folder / "whole")
    if outcome != "finished":
        return {"scenario": name, "kills": {}, "wrong": [f"undisturbed: {outcome}"]}
    expected = content(folder / "whole")
    rng, done, wrong, ends, lives = np.random.default_rng((seed, *name.encode())), Counter[str](), [], 0, 0
    while sum(done.values()) < kills or lives:
        target = folder / f"killed{ends}"
        kind = kinds[sum(done.values()) % len(kinds)] if sum(done.values()) < kills and lives < 4 else None
        number = 0 if kind is None else int(rng.integers(1, max(2, events[kind] // (2 if kind == "step" else 1) + 1)))
        outcome, _ = attempt(task_of(script, overrides, target), target, kind, number)
        if outcome == "killed":
            done[str(kind)] += 1
            lives += 1
            wrong += [f"{name}, killed at {kind} {number}: {what}" for what in looks_wrong(target)]
            continue
        if outcome != "finished":
            wrong.append(f"{name}, after {lives} kills: {outcome}")
        elif lives:
            wrong += [f"{name}: {what}" for what in looks_wrong(target)]
            found = content(target)
            unequal = [n for n in {*expected, *found} if not same(expected.get(n), found.get(n))]
            wrong += [f"{name}, after {lives} kills: {n} differs" for n in unequal]
        leftovers = [p.name for p in target.rglob(".*.*") if p.is_file()]
        wrong += [f"{name}: {leftover} is left over" for leftover in leftovers]
        ends, lives = ends + 1, 0
        if len(wrong) > 20 or ends > 20 * kills:
            break
    return {"scenario": name, "kills": dict(done), "ended_runs": ends, "events": dict(events), "wrong": wrong}


def stop(name: str, folder: Path) -> dict[str, Any]:
    """The undisturbed run, then one that is stopped or whose disk refuses, continued by the same command."""
    scenario, kind, share, fault, ending = STOPS[name]
    script, overrides, _ = SCENARIOS[scenario]
    _, events = attempt(task_of(script, overrides, folder / "whole"), folder / "whole")
    target = folder / "stopped"
    task = task_of(script, overrides, target)
    said, _ = attempt(task, target, kind, max(1, int(share * events[kind])), fault)
    code, _, text = said.partition(": ")
    last = f"{code}: {text.strip().splitlines()[-1] if text.strip() else ''}"  # a progress bar may stand before it
    wrong = [] if last.startswith(ending.replace("FOLDER", str(target))) else [f"it ended with {said!r}"]
    wrong += ["it ended with a traceback"] if "Traceback" in said else []
    wrong += looks_wrong(target)
    wrong += [f"{leftover.name} is left over" for leftover in target.rglob(".*.*") if leftover.is_file()]
    if scenario in MOST and not list(target.rglob("step-*.ckpt")):
        wrong.append("no checkpoint is there")
    again, _ = attempt(task, target)
    if again != "finished":
        wrong.append(f"the same command again: {again}")
    else:
        whole, found = content(folder / "whole"), content(target)
        wrong += [f"{n} differs" for n in {*whole, *found} if not same(whole.get(n), found.get(n))]
    return {"stop": name, "wrong": wrong}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", help=f"of {', '.join(SCENARIOS)}")
    parser.add_argument("--stops", nargs="*", help=f"of {', '.join(STOPS)}")
    parser.add_argument("--kills", type=int, default=5, help="per scenario")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="JSON of the outcomes")
    wanted = parser.parse_args()
    for module in ("modes.main", "modes.search", "report.scatter", "benchmarks"):  # imported once, for all children
        importlib.import_module(f"nas_lightning.{module}")
    for module in ("sklearn.datasets", "altair", "pyarrow.parquet", "scipy.stats"):
        importlib.import_module(module)

    outcomes = []
    jobs = [
        lambda folder, n=n: attack(n, wanted.kills, wanted.seed, folder)
        for n in (SCENARIOS if wanted.only is None else wanted.only)
    ]
    jobs += [lambda folder, n=n: stop(n, folder) for n in (STOPS if wanted.stops is None else wanted.stops)]
    for job in jobs:
        with tempfile.TemporaryDirectory(prefix="faults-") as folder:
            outcomes.append(job(Path(folder)))
            print(json.dumps(outcomes[-1], ensure_ascii=False), flush=True)
    if wanted.out:
        wanted.out.write_text(json.dumps(outcomes, indent=1) + "\n")
    return int(any(outcome["wrong"] for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
