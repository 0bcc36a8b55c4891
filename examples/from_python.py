"""Everything that train.py and search.py do, with the library's parts, in one sitting: python examples/from_python.py

On the embedded digits, in about 20 seconds of one core; for the real thing change the names of data and table.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
from rich.console import Console

import nas_lightning as nas


def look_at_the_space() -> None:
    """Architectures are values: drawn, mutated, counted, compared up to isomorphism, and read from text."""
    space = nas.get_space("nasbench201")
    rng = np.random.default_rng(0)
    arch = space.sample(rng)
    child = space.mutate(arch, rng)
    print(f"{space.size:,} encodings, {space.unique_size:,} different networks")
    print(f"  drawn   {arch}, {space.parameters(arch):,} parameters")
    print(f"  mutated {child}, isomorphic: {space.key(arch) == space.key(child)}")
    assert space.parse(str(arch)) == arch


def look_at_the_table() -> nas.Benchmark:
    """Stand-alone accuracies that were measured before: what a super-net is to predict."""
    table = nas.Benchmark.open("digits_nasbench201")
    best = table.best()
    print(f"{len(table)} networks were trained on {table.dataset}; the best has {100 * best.accuracy:.2f} %")
    return table


def train_a_supernet(epochs: int) -> tuple[nas.SuperNetModule, nas.ImageClassification]:
    """A plan is what a super-net is; heuristics are callbacks that have edited it."""
    job = nas.configure("recipe=nasbench201_quick", "heuristics/sampling=random_a", f"plan.protocol.epochs={epochs}")
    data = nas.load_data("digits", job.plan, seed=0)
    module = nas.make_supernet("nasbench201", job.plan, data, seed=0)
    trainer = pl.Trainer(
        max_epochs=job.plan.protocol.epochs,
        accelerator="cpu",
        callbacks=job.heuristics,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
    )
    trainer.fit(module, datamodule=data)
    print(f"trained for {trainer.global_step} steps, loss {trainer.callback_metrics['train_loss']:.2f}")
    return module, data


def rank(module: nas.SuperNetModule, data: nas.ImageClassification, table: nas.Benchmark, out: Path) -> None:
    """Score 100 architectures with the shared weights, compare with the table, draw."""
    chosen = nas.architecture_set("random100_seed0", table.domain, table)
    scores = nas.score_architectures(module, data, chosen, ["naswot"], table=table)
    ranking = nas.rank_architectures(scores, chosen, table)
    ranking.show(Console(width=100))
    print(ranking.frame().round(3).to_string())
    ranking.chart().save(str(out / "ranking.svg"))


def search(module: nas.SuperNetModule, data: nas.ImageClassification, table: nas.Benchmark) -> None:
    """Any function of an architecture is an objective: here the super-net's accuracy per parameter, and a table's."""
    space = table.domain

    def small_and_good(arch: object) -> float:
        accuracy = nas.score_architectures(module, data, [arch], images=100)["accuracy"][0]
        return float(accuracy - 1e-6 * space.parameters(arch))

    found = nas.maximise(
        small_and_good, space, "regularized_evolution", evaluations=40, seed=0, population=10, sample=3
    )
    print(f"found by the super-net: {found.architecture}, {found.value:.3f}")
    known = table.architectures()
    rows = {space.key(arch): float(value) for arch, value in zip(known, table.accuracies(known), strict=True)}
    found = nas.maximise(lambda arch: rows.get(space.key(arch), 0.0), space, "local_search", evaluations=200)
    print(f"found in the table: {found.architecture}, {100 * found.value:.2f} %")


def ablate(out: Path) -> None:
    """Runs of the command line leave folders; they come back as a table and as figures."""
    tiny = ("plan.protocol.epochs=2", "evaluation.architectures=random30_seed0", f"runs={out / 'runs'}")
    for ablation in ("baseline", "batch_norm_tracked"):
        for seed in (0, 1):
            nas.train_run(f"ablation={ablation}", f"seed={seed}", *tiny)
    runs = nas.read_runs(out / "runs")
    print(runs[["setting", "seed", "kendall_tau", "parameters_tau"]].to_string())
    charts = nas.report_figures(out / "runs", replicates=200)
    print(f"figures: {', '.join(charts)}")
    charts["forest"].save(str(out / "forest.svg"))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--epochs", type=int, default=3, help="of the super-net (default: 3)")
    parser.add_argument("--out", type=Path, help="folder of pictures and runs (default: a temporary one)")
    given = parser.parse_args()
    out = given.out or Path(tempfile.mkdtemp())
    out.mkdir(parents=True, exist_ok=True)
    look_at_the_space()
    table = look_at_the_table()
    module, data = train_a_supernet(given.epochs)
    rank(module, data, table, out)
    search(module, data, table)
    ablate(out)
    print(f"pictures and runs: {out}")


if __name__ == "__main__":
    main()
