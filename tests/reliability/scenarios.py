"""What is killed, and how it is stopped: the runs of `faults.py`."""

import errno
import signal

TINY = (
    "plan.protocol.epochs=4",
    "plan.protocol.train_portion=0.1",
    "plan.protocol.batch_size=20",
    "plan.mapping.channels=4",
    "plan.mapping.layers=1",
    "evaluation.images=100",
    "trainer=cpu",
    "trainer.progress_bar=false",
    "trainer.threads=1",
    "trainer.checkpoint_every=2",
    "trainer.checkpoint_every_steps=3",
)
WITH_TRACKED_STATISTICS = (
    "heuristics/ofa_kernel=crop_transform",
    "heuristics/dropout=both",
    "heuristics/op_placement=node_except_input",
    "heuristics/batch_norm=tracked_affine",
    "heuristics/learning_rate=complexity_aware",
    "heuristics/weight_decay=wd1e3",
    "extra=[label_smoothing]",
)
MOST = {
    "nasbench201": (
        "heuristics/sampling=fairnas",
        *WITH_TRACKED_STATISTICS,
    ),
    "nasbench101": (
        "plan.mapping.channels=6",
        "heuristics/sampling=multipath",
        "heuristics/dynamic_channel=shuffle",
        "heuristics/ofa_kernel=crop_transform",
        "heuristics/wsbn=on",
        "heuristics/dropout=both",
        "heuristics/batch_norm=recalibrate",
        "heuristics/learning_rate=complexity_aware",
        "heuristics/weight_decay=wd1e3",
        "extra=[weight_averaging,label_smoothing]",
    ),
    "darts_nds": (
        "heuristics/sampling=sandwich",
        *WITH_TRACKED_STATISTICS,
        "plan.mapping.layers=3",
    ),
}
"""Per space, every heuristic that it has and that goes with the others, none at its default; mere numbers (channels,
layers, epochs, batch size, train portion) are in TINY. Weight averaging, which refuses tracked statistics, is killed on
NAS-Bench-101 and in `extras`; tied edges, which refuse operations owned by nodes, in `extras`."""

SCENARIOS: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    # name: (script, overrides, kinds of moments)
    "nasbench201": ("train", (*TINY, "space=nasbench201", *MOST["nasbench201"], "evaluation.every=2",
                              "evaluation.architectures=random10_seed0"), ("step", "checkpoint", "score", "result")),
    "nasbench101": ("train", (*TINY, "space=nasbench101", *MOST["nasbench101"], "evaluation.every=2",
                              "evaluation.architectures=random10_seed0"), ("step", "checkpoint", "score", "result")),
    "darts_nds": ("train", (*TINY, "space=darts_nds", *MOST["darts_nds"], "evaluation.every=2",
                            "evaluation.architectures=random10_seed0"), ("step", "checkpoint", "score", "result")),
    "extras": ("train", (*TINY, "space=nasbench201", "heuristics/sampling=random_a", "evaluation.probe_images=100",
                         "extra=[sharing_curriculum,weight_averaging,path_tournament]", "evaluation.every=2",
                         "evaluation.score=class_separation", "evaluation.architectures=random10_seed0"),
               ("step", "checkpoint", "score", "result")),
    "importance": ("train", (*TINY, "space=nasbench201", "heuristics/sampling=random_nas",
                             "extra=[dynas,importance_sampling,ranking_distillation]", "evaluation.every=2",
                             "heuristics.ranking_distillation.pool=20", "evaluation.architectures=random10_seed0"),
                   ("step", "checkpoint", "score", "result")),
    "evaluation": ("train", (*TINY, "evaluation.architectures=random60_seed0", "plan.protocol.epochs=1"),
                   ("score", "result")),
    "table": ("train", (*TINY, "mode=table", "table.architectures=6", "table.seeds=2", "table.workers=1",
                        "plan.protocol.epochs=1"), ("journal", "step", "result")),
    "search": ("search", ("algorithm=regularized_evolution", "budget.amount=120", "baseline_seeds=2",
                          "progress_bar=false"), ("journal", "result")),
}  # fmt: skip

STOPS: dict[str, tuple[str, str, float, signal.Signals | int, str]] = {
    # name: (scenario, kind, at which share of its events, what happens, how the attempt ends)
    "SIGTERM in training": ("nasbench201", "step", 0.4, signal.SIGTERM, "exit 75: terminated: the same command"),
    "Ctrl-C in training": ("nasbench101", "step", 0.7, signal.SIGINT, "exit 130: interrupted: the same command"),
    "SIGTERM in evaluation": ("evaluation", "score", 0.5, signal.SIGTERM, "exit 75: terminated: the same command"),
    "SIGTERM in table building": ("table", "step", 0.5, signal.SIGTERM, "exit 75: terminated: the same command"),
    "SIGTERM in search": ("search", "journal", 0.5, signal.SIGTERM, "exit 75: terminated: the same command"),
    "Ctrl-C in search": ("search", "journal", 0.2, signal.SIGINT, "exit 130: interrupted: the same command"),
    "disk full at a checkpoint": (
        "nasbench201",
        "checkpoint",
        0.6,
        errno.ENOSPC,
        "exit 2: error: FOLDER/checkpoint: No sp",
    ),
    "disk full at a result": ("evaluation", "result", 0.8, errno.ENOSPC, "exit 2: error: FOLDER/result: No space"),
    "disk full at a table's journal": (
        "table",
        "journal",
        0.5,
        errno.ENOSPC,
        "exit 2: error: FOLDER/journal: No space",
    ),
    "disk full at a search's journal": (
        "search",
        "journal",
        0.5,
        errno.ENOSPC,
        "exit 2: error: FOLDER/journal: No space",
    ),
    "folder turns read-only": (
        "darts_nds",
        "checkpoint",
        0.5,
        errno.EROFS,
        "exit 2: error: FOLDER/checkpoint: Read-only",
    ),
}
