"""Weight-sharing neural architecture search: heuristics one can isolate, rankings one can quote.

The names below are the public ones, imported when first used, so that ``import nas_lightning`` takes no time. A table,
and whether counting parameters ranks its networks::

    from nas_lightning import Benchmark, rank_architectures

    table = Benchmark.open("digits_nasbench201")
    chosen = table.architectures()
    rank_architectures({"size": table.params(chosen)}, chosen, table).show()

A super-net of a plan, trained by a Trainer of one's own, and what it thinks of these networks::

    from nas_lightning import configure, load_data, make_supernet, score_architectures

    plan = configure("recipe=nasbench201_quick").plan
    data = load_data("digits", plan)
    module = make_supernet("nasbench201", plan, data)
    pl.Trainer(max_epochs=plan.protocol.epochs, logger=False).fit(module, datamodule=data)
    rank_architectures(score_architectures(module, data, chosen), chosen, table).chart()

`maximise` searches, `train_run` does what the command line does, `read_runs` and `report_figures` read it back;
``examples/from_python.py`` and the notebooks beside it use all of them. The five nouns that anyone can add from outside
are `Heuristic`, `Space` with its `Network`, `Task`, `Predictor` and `Algorithm`.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

try:
    __version__ = version("nas-lightning")
except PackageNotFoundError:  # a checkout on the path, not installed
    __version__ = "0+unknown"

_PUBLIC = {
    "Algorithm": "search.algorithm",
    "Benchmark": "benchmarks",
    "Context": "predictors.base",
    "Heuristic": "heuristic",
    "ImageClassification": "data.module",
    "Maximum": "search.function",
    "Network": "nets.base",
    "Plan": "plan",
    "Predictor": "predictors.base",
    "Ranking": "report.inline",
    "Space": "spaces.base",
    "StandaloneModule": "training.module",
    "SuperNetModule": "training.module",
    "Task": "data.task",
    "UserError": "errors",
    "architecture_set": "ranking.architecture_sets",
    "build_network": "nets.build",
    "configure": "modes.configure",
    "find_runs": "runs.reading",
    "get_space": "spaces",
    "load_data": "modes.configure",
    "load_network": "training.module",
    "make_predictor": "predictors.base",
    "make_standalone": "training.make",
    "make_supernet": "training.make",
    "maximise": "search.function",
    "rank_architectures": "report.inline",
    "read_runs": "runs.frame",
    "report_figures": "report.inline",
    "score_architectures": "scoring.architectures",
    "train_run": "modes.configure",
    "write_table": "benchmarks",
}
__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
