"""Which modules are broken, and which fast tests should notice."""

from __future__ import annotations

STEP = (
    "tests/training/test_step_by_hand.py",
    "tests/training/test_schedule.py",
    "tests/training/test_keys_and_intervals.py",
)
SUITES: dict[str, tuple[str, ...]] = {
    "nas_lightning.training.schedule": ("tests/training/test_schedule.py",),
    "nas_lightning.training.module": ("tests/training/test_module.py", *STEP, "tests/training/test_supernet.py"),
    "nas_lightning.training.paths": (
        "tests/training/test_paths.py", "tests/heuristics/test_path_tournament.py", *STEP,
    ),
    "nas_lightning.training.checkpoint_file": ("tests/reliability/test_checkpoint_files.py",),
    "nas_lightning.training.checkpoints": (
        "tests/reliability/test_checkpoint_files.py",
        "tests/training/test_keys_and_intervals.py",
    ),
    "nas_lightning.training.divergence": ("tests/training/test_divergence.py",),
    "nas_lightning.training.make": ("tests/test_public.py",),
    "nas_lightning.training.progress": ("tests/test_run_names.py",),
    "nas_lightning.training.memory": ("tests/training/test_speed.py",),
    "nas_lightning.training.speed": ("tests/training/test_speed.py", "tests/training/test_supernet.py"),
    "nas_lightning.training.trainer": (
        "tests/reliability/test_refusals.py", "tests/training/test_keys_and_intervals.py",
    ),
    "callbacks.landmark_loss": (STEP[0], "tests/heuristics/test_landmark_loss.py"),
    "callbacks.sharing_curriculum": (STEP[0], "tests/heuristics/test_extra.py"),
    "callbacks.weight_averaging": (STEP[0], "tests/heuristics/test_extra.py"),
    "callbacks.few_shot": ("tests/heuristics/test_few_shot.py",),
    "callbacks.layers": ("tests/heuristics/test_isolation.py",),
    "callbacks.op_placement": ("tests/heuristics/test_isolation.py",),
    "callbacks.wsbn": ("tests/heuristics/test_isolation.py",),
    "callbacks.dynamic_channel": ("tests/heuristics/test_isolation.py",),
    "callbacks.channels": ("tests/heuristics/test_isolation.py",),
    "callbacks.batch_size": ("tests/heuristics/test_isolation.py",),
    "callbacks.epochs": ("tests/heuristics/test_isolation.py",),
    "callbacks.train_portion": ("tests/heuristics/test_isolation.py",),
    "callbacks.weight_decay": ("tests/heuristics/test_isolation.py",),
    "callbacks.learning_rate": ("tests/heuristics/test_isolation.py",),
    "callbacks.sampling": ("tests/heuristics/test_isolation.py",),
    "callbacks.ofa_kernel": ("tests/heuristics/test_isolation.py",),
    "callbacks.dropout": ("tests/heuristics/test_isolation.py", "tests/heuristics/test_dropout_and_norm.py"),
    "callbacks.batch_norm": ("tests/heuristics/test_isolation.py", "tests/heuristics/test_dropout_and_norm.py"),
    "callbacks.label_smoothing": ("tests/heuristics/test_extra.py",),
    "callbacks.path_tournament": ("tests/heuristics/test_path_tournament.py", "tests/heuristics/test_isolation.py"),
    **{
        f"callbacks.{name}": (
            "tests/distributions/test_draws.py", "tests/distributions/test_bilevel.py",
            "tests/distributions/test_runs.py", "tests/distributions/test_by_hand.py",
        )
        for name in ("darts", "darts_pt", "drnas", "enas", "gdas", "one_shot", "pc_darts", "setn")
    },
    "nas_lightning.scoring.score": (
        "tests/scoring/test_measures.py","tests/training/test_supernet.py", "tests/nets/test_shared_work.py",
                                    "tests/ranking/test_probe.py", "tests/heuristics/test_few_shot.py"),
    "nas_lightning.scoring.outputs": ("tests/scoring/test_measures.py", "tests/training/test_supernet.py"),
    "nas_lightning.scoring.architectures": ("tests/scoring/test_measures.py", "tests/test_public.py"),
    "nas_lightning.scoring.choice": (
        "tests/scoring/test_measures.py", "tests/training/test_snapshots.py", "tests/data/text/test_text_task.py",
    ),
    "nas_lightning.scoring.evaluation": ("tests/scoring/test_measures.py", "tests/training/test_snapshots.py"),
    "nas_lightning.scoring.files": ("tests/scoring/test_measures.py",),
    "nas_lightning.scoring.latency": ("tests/scoring/test_measures.py",),
    "nas_lightning.scoring.scorer": ("tests/scoring/test_measures.py", "tests/training/test_snapshots.py"),
    "nas_lightning.scoring.standalone": ("tests/scoring/test_measures.py",),
    "nas_lightning.scoring.subjects": ("tests/scoring/test_measures.py", "tests/training/test_snapshots.py"),
    "nas_lightning.scoring.trained": (
        "tests/test_content_counts.py", "tests/reliability/test_files_of_before.py",
        "tests/data/text/test_text_task.py",
    ),
    "nas_lightning.scoring.probe": ("tests/ranking/test_probe.py",),
    "nas_lightning.scoring.partial": ("tests/ranking/test_partial.py",),
    "nas_lightning.scoring.torchmetrics": ("tests/ranking/test_torchmetrics.py",),
    "nas_lightning.ranking.correlation": ("tests/ranking/test_correlation.py",),
    "nas_lightning.ranking.selection": ("tests/ranking/test_selection.py",),
    "nas_lightning.ranking.fusion": ("tests/ranking/test_fusion.py",),
    "nas_lightning.ranking.terminal": ("tests/ranking/test_summary.py", "tests/test_endings.py"),
    "nas_lightning.ranking.checks": ("tests/ranking",),
    "nas_lightning.ranking.baselines": ("tests/ranking/test_baselines.py",),
    "nas_lightning.ranking.comparison": ("tests/ranking/test_uncertainty.py",),
    "nas_lightning.ranking.uncertainty": ("tests/ranking/test_uncertainty.py",),
    "nas_lightning.ranking.summary": ("tests/ranking/test_summary.py",),
    "nas_lightning.ranking.architecture_sets": (
        "tests/ranking/test_architecture_sets.py", "tests/benchmarks/test_benchmark.py",
    ),
    **{
        f"nas_lightning.search.algorithms.{name}": (
            "tests/search/test_steps_by_hand.py", "tests/search/test_algorithms.py", "tests/search/test_halving.py",
            "tests/search/test_pareto_and_density.py", "tests/search/test_engine.py",
        )
        for name in ("random_search", "local_search", "regularized_evolution", "reinforce", "random_search_ws", "nsga2",
                     "successive_halving", "hyperband", "asha", "bohb")
    },
}  # fmt: skip
STEPS = "tests/search/test_steps_by_hand.py"
GUIDED = "tests/search/test_predictor_search.py"
SUITES |= {
    **{
        f"nas_lightning.scoring.zerocost.{name}": ("tests/predictors/test_zerocost.py",)
        for name in (
            "base",
            "fisher",
            "grad_norm",
            "grasp",
            "jacov",
            "logsynflow",
            "naswot",
            "snip",
            "synflow",
            "watch",
            "zen",
        )
    },
    "nas_lightning.search.algorithms.predictor_guided": (STEPS, GUIDED),
    "nas_lightning.search.algorithms.acenas": (STEPS, GUIDED),
    "nas_lightning.search.algorithms.anasod": (STEPS, GUIDED),
    "nas_lightning.search.algorithms.bananas": (STEPS, GUIDED),
    "nas_lightning.search.algorithms.npenas": (STEPS, GUIDED),
    "nas_lightning.search.algorithms.asng": ("tests/search/test_steps_by_hand.py", "tests/search/test_engine.py"),
    "nas_lightning.search.algorithms.pairwise_evolution": (
        "tests/search/test_steps_by_hand.py",
        "tests/search/test_engine.py",
    ),
    "nas_lightning.search.algorithms.optuna": ("tests/search/test_steps_by_hand.py", "tests/search/test_engine.py"),
    "nas_lightning.search.algorithms.dehb": ("tests/search/test_steps_by_hand.py", "tests/search/test_engine.py"),
    **{
        f"nas_lightning.search.algorithms.{name}": (
            "tests/search/test_niche_algorithms.py",
            "tests/search/test_engine.py",
        )
        for name in ("bop_elites", "bop_elites_hb", "qdhb")
    },
    "nas_lightning.search.algorithms.pnas": ("tests/search/test_progressive.py",),
    "nas_lightning.search.algorithms.popnas": ("tests/search/test_progressive.py",),
    "nas_lightning.search.algorithms.curve_extrapolation": ("tests/search/test_curve_extrapolation.py",),
}
CHOSEN: dict[str, str] = {
    **{
        f"callbacks.{name}": f"draws or bilevel or flags or by_hand or (trains and nasbench201-{name})"
        for name in ("darts", "darts_pt", "drnas", "enas", "gdas", "one_shot", "pc_darts", "setn")
    },
    "nas_lightning.training.speed": "not darts",
    "nas_lightning.search.algorithms.predictor_guided": (
        "acquisitions or improvement or failed or equal or settings or fewer_than or "
        "(measured_twice and predictor_guided) or defaults"
    ),
    "nas_lightning.search.algorithms.acenas": "acenas or portions or few_candidates or good_weak",
    "nas_lightning.search.algorithms.anasod": "anasod",
    "nas_lightning.search.algorithms.bananas": "bananas or encoding",
    "nas_lightning.search.algorithms.npenas": "npenas",
    **{
        f"nas_lightning.search.algorithms.{name}": f"by_hand or {name}] or niches or niche or bounds or promising"
        for name in ("bop_elites", "bop_elites_hb", "qdhb")
    },
    **{
        f"nas_lightning.search.algorithms.{name}": f"{name}"
        for name in ("asng", "pairwise_evolution", "optuna", "dehb")
    },
}
"""Of those files, slow tests too, what names a module's own class (pytest's -k); elsewhere all that is not slow."""
SLOW_TOO = (
    *CHOSEN, "nas_lightning.scoring.outputs", "nas_lightning.training.memory",
    "nas_lightning.search.algorithms.curve_extrapolation",
)  # fmt: skip
for _name in SUITES:
    if _name.startswith("callbacks."):
        SUITES[_name] = (*SUITES[_name], "tests/heuristics/test_flags.py")
    elif _name.startswith("nas_lightning.training.") and not _name.endswith(("module", "paths", "schedule", "memory")):
        SUITES[_name] = (*SUITES[_name], "tests/training/test_surroundings.py")
MODULES = tuple(SUITES)


def suite_of(module: str) -> tuple[str, ...]:
    """Files of tests, the one that should notice first first."""
    return SUITES[module]


def options_of(module: str) -> tuple[str, ...]:
    """Which tests of those files: none that starts a process or runs a whole job, and slow ones for some modules."""
    chosen = ("-k", CHOSEN[module]) if module in CHOSEN else ()
    return ("-m", "not command" if module in SLOW_TOO else "not command and not slow", *chosen)
