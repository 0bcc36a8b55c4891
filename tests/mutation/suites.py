"""Which modules are broken, and which fast tests should notice."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = (
    "callbacks",
    *(f"nas_lightning/{room}" for room in ("training", "scoring", "ranking", "search/algorithms")),
    *(f"nas_lightning/{room}" for room in ("nets", "distributions", "predictors")),
)
"""Folders every module of which is broken."""


@dataclass(frozen=True)
class Suite:
    """The tests of some modules; each test that does not run a fault is left out for it.

    Args:
        modules: dotted names, * allowed; of several suites the first one with the name counts.
        tests: files or folders.
        chosen: which of their tests, pytest's -k.
        slow: whether slow tests count too; none that starts a process or runs a whole job ever does.
    """

    modules: tuple[str, ...]
    tests: tuple[str, ...]
    chosen: str = ""
    slow: bool = False


def under(folder: str, *names: str) -> tuple[str, ...]:
    return tuple(f"tests/{folder}/test_{name}.py" for name in names)


LEARNED = ("darts", "darts_pt", "drnas", "enas", "gdas", "one_shot", "pc_darts", "setn")
SEARCH = "nas_lightning.search.algorithms"
STEPS = under("training", "step_by_hand", "schedule", "module", "keys_and_intervals", "paths")
SEARCHES = under("search", "steps_by_hand", "algorithms", "halving", "pareto_and_density", "engine", "trial_and_budget")
SUITES = (
    Suite(
        ("nas_lightning.training.speed", "nas_lightning.training.memory"),
        (*under("training", "speed", "surroundings"),),
        slow=True,
    ),
    Suite(
        tuple(f"nas_lightning.training.{name}" for name in ("module", "paths", "schedule")),
        (*STEPS, *under("training", "snapshots"), *under("heuristics", "path_tournament"),
         *under("reliability", "checkpoint_files")),
    ),
    Suite(
        ("nas_lightning.training.checkpoint*",),
        (*under("reliability", "checkpoint_files"), *under("training", "surroundings", "keys_and_intervals")),
    ),
    Suite(
        ("nas_lightning.training.*",),
        (*under("training", "divergence", "surroundings"), "tests/test_run_names.py", "tests/test_public.py",
         *under("reliability", "refusals")),
    ),
    Suite(
        (*(f"callbacks.{name}" for name in LEARNED), "nas_lightning.distributions.*"),
        (*under("distributions", "by_hand", "bilevel", "draws"), "tests/heuristics/test_flags.py"),
    ),
    Suite(
        ("callbacks.*",),
        (
            *under("heuristics", "flags", "isolation", "landmark_loss", "extra", "few_shot", "dropout_and_norm",
                   "path_tournament", "dynas", "importance_sampling", "ranking_distillation"),
            STEPS[0],
        ),
    ),
    Suite(("nas_lightning.scoring.zerocost.*",), under("predictors", "zerocost"), "not other_spaces and not a_path"),
    Suite(
        tuple(f"nas_lightning.scoring.{name}" for name in ("probe", "partial", "torchmetrics", "linear_probe",
                                                           "class_separation")),
        (*under("ranking", "probe", "partial", "torchmetrics"), "tests/test_linear_probe.py", "tests/scoring"),
    ),
    Suite(
        ("nas_lightning.scoring.trained",),
        ("tests/test_content_counts.py", "tests/data/text/test_text_task.py", *under("scoring", "trained")),
    ),
    Suite(
        ("nas_lightning.scoring.*",),
        ("tests/scoring", *under("training", "snapshots"), *under("nets", "shared_work"), *under("ranking", "probe")),
    ),
    Suite(("nas_lightning.ranking.*",), ("tests/ranking", "tests/test_endings.py", *under("benchmarks", "benchmark"))),
    Suite((f"{SEARCH}.bop_elites*", f"{SEARCH}.qdhb"), under("search", "niche_algorithms", "steps_by_hand")),
    Suite((f"{SEARCH}.pnas", f"{SEARCH}.popnas"), under("search", "progressive")),
    Suite((f"{SEARCH}.curve_extrapolation",), under("search", "curves_by_hand")),
    Suite(
        tuple(f"{SEARCH}.{name}" for name in ("predictor_guided", "acenas", "anasod", "bananas", "npenas")),
        under("search", "guided_by_hand", "steps_by_hand"),
    ),
    Suite((f"{SEARCH}.*",), SEARCHES),
    Suite(
        tuple(f"nas_lightning.nets.{name}" for name in ("highways", "interpreter", "rnn_ptb", "nasbench_nlp",
                                                        "language_model")),
        under("nets", "interpreter", "rnn_ptb"),
    ),
    Suite(
        ("nas_lightning.nets.*",),
        (
            "tests/nets", *under("heuristics", "sharing", "dropout_and_norm", "few_shot", "isolation"), STEPS[0],
            "tests/training/test_supernet.py",
        ),
        chosen="not interpreter and not rnn_ptb",
    ),
    Suite(
        ("nas_lightning.predictors.*",),
        ("tests/predictors", "tests/test_rankers.py", *under("search", "predictor_search", "progressive", "halving"),
         "tests/ranking/test_baselines.py", *under("analysis", "curves")),
        chosen="not zerocost and not fewer_than",
    ),
)  # fmt: skip


def suite(module: str) -> Suite:
    """The first one that names the module."""
    return next(s for s in SUITES if any(fnmatchcase(module, wanted) for wanted in s.modules))


def modules() -> tuple[str, ...]:
    """Dotted names of every module of the rooms."""
    files = [file for room in ROOMS for file in sorted((ROOT / room).rglob("*.py"))]
    return tuple(".".join(f.relative_to(ROOT).with_suffix("").parts) for f in files if f.name != "__init__.py")


MODULES = modules()


def suite_of(module: str) -> tuple[str, ...]:
    """Files and folders of tests."""
    return suite(module).tests


def options_of(module: str) -> tuple[str, ...]:
    """Which of those tests, as pytest's own options."""
    found = suite(module)
    return (
        "-m",
        "not command" if found.slow else "not command and not slow",
        *(("-k", found.chosen) * bool(found.chosen)),
    )
