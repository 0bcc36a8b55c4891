"""Which modules are broken, and which fast tests should notice."""

from __future__ import annotations

STEP = (
    "tests/training/test_step_by_hand.py",
    "tests/training/test_schedule.py",
    "tests/training/test_keys_and_intervals.py",
)
SUITES: dict[str, tuple[str, ...]] = {
    "nas_lightning.training.schedule": ("tests/training/test_schedule.py",),
    "nas_lightning.training.module": (*STEP, "tests/training/test_supernet.py"),
    "nas_lightning.training.paths": (
        "tests/training/test_paths.py", "tests/heuristics/test_path_tournament.py", *STEP,
    ),
    "nas_lightning.training.checkpoint_file": ("tests/reliability/test_checkpoint_files.py",),
    "nas_lightning.training.checkpoints": (
        "tests/reliability/test_checkpoint_files.py",
        "tests/training/test_keys_and_intervals.py",
    ),
    "callbacks.landmark_loss": (STEP[0], "tests/heuristics/test_landmark_loss.py"),
    "callbacks.sharing_curriculum": (STEP[0], "tests/heuristics/test_extra.py"),
    "callbacks.weight_averaging": (STEP[0], "tests/heuristics/test_extra.py"),
    "callbacks.few_shot": ("tests/heuristics/test_few_shot.py",),
    "callbacks.layers": ("tests/heuristics/test_isolation.py",),
    "callbacks.op_placement": ("tests/heuristics/test_isolation.py",),
    "callbacks.wsbn": ("tests/heuristics/test_isolation.py",),
    "callbacks.dynamic_channel": ("tests/heuristics/test_isolation.py",),
    "nas_lightning.scoring.score": ("tests/training/test_supernet.py", "tests/nets/test_shared_work.py",
                                    "tests/ranking/test_probe.py", "tests/heuristics/test_few_shot.py"),
    "nas_lightning.scoring.probe": ("tests/ranking/test_probe.py",),
    "nas_lightning.scoring.partial": ("tests/ranking/test_partial.py",),
    "nas_lightning.scoring.torchmetrics": ("tests/ranking/test_torchmetrics.py",),
    "nas_lightning.ranking.correlation": ("tests/ranking/test_correlation.py",),
    "nas_lightning.ranking.selection": ("tests/ranking/test_selection.py",),
    "nas_lightning.ranking.fusion": ("tests/ranking/test_fusion.py",),
    "nas_lightning.ranking.checks": ("tests/ranking",),
    "nas_lightning.ranking.baselines": ("tests/ranking/test_baselines.py",),
    "nas_lightning.ranking.comparison": ("tests/ranking/test_uncertainty.py",),
    "nas_lightning.ranking.uncertainty": ("tests/ranking/test_uncertainty.py",),
    "nas_lightning.ranking.summary": ("tests/ranking/test_summary.py",),
    "nas_lightning.ranking.architecture_sets": ("tests/ranking/test_architecture_sets.py",),
    **{
        f"nas_lightning.search.algorithms.{name}": (
            "tests/search/test_algorithms.py", "tests/search/test_halving.py",
            "tests/search/test_pareto_and_density.py", "tests/search/test_engine.py",
        )
        for name in ("random_search", "local_search", "regularized_evolution", "reinforce", "random_search_ws", "nsga2",
                     "successive_halving", "hyperband", "asha", "bohb")
    },
}  # fmt: skip
MODULES = tuple(SUITES)


def suite_of(module: str) -> tuple[str, ...]:
    """Files of tests, the one that should notice first first."""
    return SUITES[module]
