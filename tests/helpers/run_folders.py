"""Synthetic run folders in exactly the layout that train.py and search.py leave behind."""

import csv
import hashlib
import json
import shutil
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nas_lightning.ranking.baselines import Baseline
from nas_lightning.ranking.summary import summarize
from nas_lightning.runs.quality import ACCURACY
from nas_lightning.spaces import get_space

DEFAULTS = {
    "mapping": {"channels": 8, "wsbn": "off"},
    "protocol": {"epochs": 10, "batch_size": 64, "learning_rate": 0.025, "sampling": "random_nas"},
}
FACTORS = {
    "sampling": ("protocol.sampling", {"fairnas": "fairnas", "random_a": "random_a"}),
    "learning_rate": ("protocol.learning_rate", {"0.1": 0.1, "0.005": 0.005}),
    "channels": ("mapping.channels", {"16": 16}),
}


def truth_of(space, n):
    """Names, accuracies (fractions) and accuracies of six seeds of n architectures, the same for all runs."""
    rng = np.random.default_rng([n, len(space)])
    names = names_of(space, n)
    quality = 0.85 + 0.03 * rng.normal(size=n)
    seeds = np.clip(quality[:, None] + 0.008 * rng.normal(size=(n, 6)), 0, 1)
    return names, seeds.mean(axis=1), seeds


@lru_cache
def names_of(space, n):
    """n distinct architectures of the space, drawn once."""
    rng, found = np.random.default_rng([n, 7]), {}
    while len(found) < n:
        found.setdefault(str(get_space(space).sample(rng)))
    return list(found)


def write_evaluation(root, space="nasbench201", n=60):
    """A complete mode=evaluate run of two checkpoints, fused with the parameter count."""
    source = write_run(root / "source", space=space, n=n)
    folder = root / f"evaluate-{space}"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("")
    (folder / "timings.json").write_text("{}")
    names, truth, _ = truth_of(space, n)
    rng = np.random.default_rng(5)
    predictors = {
        "seed0 accuracy": truth + 0.05 * rng.normal(size=n),
        "seed1 accuracy": truth + 0.05 * rng.normal(size=n),
    }
    predictors["fusion(seed0 + seed1 + parameters)"] = truth + 0.01 * rng.normal(size=n)
    columns = dict(zip(predictors, ("seed0_accuracy", "seed1_accuracy", "fusion"), strict=True))
    pq.write_table(
        pa.table(
            {"architecture": names, "standalone_accuracy": truth, **{columns[k]: v for k, v in predictors.items()}}
        ),
        folder / "ranking.parquet",
    )
    result = json.loads((source / "result.json").read_text())
    shutil.rmtree(root / "source")
    summary = summarize(predictors, truth, names, top_k=10, replicates=100)
    evaluation = result["evaluation"] | {"headline": "seed0 accuracy", "predictors": columns, "precision": "bf16-mixed"}
    result |= {"kind": "evaluation", "run_hash": "e", "evaluation": evaluation, **summary}
    (folder / "result.json").write_text(json.dumps(result))
    return folder


def write_run(
    root,
    space="nasbench201",
    seed=1,
    changes=None,
    noise=0.03,
    n=60,
    ablation=None,
    dataset="digits",
    quality=ACCURACY,
    **extra,
):
    """A complete super-net run; `changes` maps factors to settings of FACTORS, `noise` is the s.d. of its scores.

    Of another `quality` than accuracy, its numbers are those of an accuracy minus 2."""
    own, shift = quality.name, 0 if quality == ACCURACY else 2
    second = "second" if shift else "negative_cross_entropy"
    changes = changes or {}
    plan = json.loads(json.dumps(DEFAULTS))
    heuristics, changed = {}, {}
    for factor, setting in changes.items():
        field, settings = FACTORS[factor]
        part, name = field.split(".")
        changed[field] = [plan[part][name], settings[setting]]
        plan[part][name] = settings[setting]
        heuristics[factor] = {field: settings[setting]}
    plan = extra.pop("plan", plan)
    names = [space, dataset, seed, plan, n] + ([own] if shift else [])
    digest = hashlib.sha256(json.dumps(names, sort_keys=True).encode()).hexdigest()[:12]
    folder = root / f"{space}-{digest}"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(f"seed: {seed}\n")
    (folder / "environment.json").write_text("{}")

    names, truth, seeds = truth_of(space, n)
    # The seed's own draw is shared by all settings, as batches and paths are.
    shared = np.random.default_rng(seed).normal(size=n)
    drawn = np.random.default_rng([seed, int(digest, 16) % 2**32]).normal(size=n)
    accuracy = np.clip(truth - 0.3 + noise * (0.8 * shared + 0.6 * drawn), 0, 1) - shift
    truth, seeds = truth - shift, seeds - shift
    params = np.argsort(np.argsort(truth + 0.05 * np.random.default_rng(9).normal(size=n))) * 1000
    summary = summarize(
        {own: accuracy, second: accuracy - 2},
        truth,
        names,
        [Baseline("parameters", params.astype(float), "no training")],
        seed_accuracies=seeds,
        table_accuracies=truth,
        top_k=10,
        replicates=100,
        quality=own,
    )
    table = {
        "architecture": names,
        "key": names,
        f"supernet_{own}": accuracy,
        f"supernet_{second}": accuracy - 2,
        f"standalone_{own}": truth,
        "standalone_seed_accuracies": list(seeds),
        "params": params,
        "macs": params * 2,
    }
    pq.write_table(pa.table(table), folder / "ranking.parquet")
    epochs = plan["protocol"]["epochs"]
    with (folder / "metrics.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(
            ["epoch", "step", "passes", "train_loss", "learning_rate", "rank/kendall_tau", f"rank/supernet_{own}"]
        )
        final = summary["metrics"][own]
        for epoch in range(1, epochs + 1):
            share = epoch / epochs
            ranked = [final["kendall_tau"] * share**0.3, final[f"supernet_{own}"] * share**0.5]
            writer.writerow([epoch, epoch * 9, epoch * 9, 2 / epoch, 0.02, *(ranked if epoch % 2 == 0 else ["", ""])])
    passes = epochs * 9 * (5 if changes.get("sampling") == "fairnas" else 1)
    (folder / "timings.json").write_text(json.dumps({"training_s": passes / 9, "total_s": passes / 8 + seed}))
    result = {
        "schema_version": 1,
        "kind": "train",
        "status": "complete",
        "reason": None,
        "run_hash": digest,
        "space": space,
        "dataset": dataset,
        "seed": seed,
        "plan": plan,
        "heuristics": heuristics,
        "changed": changed,
        "ablation": ablation,
        "study": None,
        "recipe": None,
        "evaluation": {
            "architecture_set": f"random{n}_seed0",
            "n_architectures": n,
            "split": "validation",
            "n_images": 500,
            "batch_size": 250,
            "batch_norm": "batch",
            "score": own,
        },
        **quality.record(),
        "benchmark": {"name": f"digits_{space}", "sha256": "0" * 64},
        "cost": {"epochs": epochs, "steps": epochs * 9, "passes": passes},
        **summary,
        **extra,
    }
    (folder / "result.json").write_text(json.dumps(result, allow_nan=False))
    return folder


def write_study(root, spaces=("nasbench201", "nasbench101"), seeds=range(1, 6), n=60):
    """An isolated study: the baseline, and every setting of FACTORS alone; learning rate 0.1 ranks much worse."""
    for space in spaces:
        for seed in seeds:
            write_run(root, space, seed, n=n, ablation={"factor": "baseline", "setting": "baseline"})
            for factor, (_, settings) in FACTORS.items():
                for setting in settings:
                    noise = 0.15 if setting == "0.1" else 0.012 if setting == "fairnas" else 0.03
                    write_run(root, space, seed, {factor: setting}, noise, n, {"factor": factor, "setting": setting})
    return root


def write_search(
    root, algorithm="random_search", seed=1, space="nasbench201", evaluations=50, quality=ACCURACY, found=None
):
    """A complete search run with its search.csv; of another `quality` than accuracy, its numbers are lower by 2."""
    folder = root / f"{algorithm}-{space}-seed{seed}"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("")
    rng = np.random.default_rng([seed, len(algorithm)])
    values = 0.8 + 0.1 * rng.random(evaluations) ** (1 if algorithm == "random_search" else 0.6)
    values -= 0 if quality == ACCURACY else 2
    with (folder / "search.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        columns = (
            "evaluation architecture objective incumbent_objective incumbent_truth cost seed algorithm fidelity spent"
        )
        writer.writerow(columns.split())
        best = np.maximum.accumulate(values)
        for i in range(evaluations):
            writer.writerow([i + 1, "a", values[i], best[i], best[i] - 0.01, 1, seed, algorithm, 200, i + 1])
    result = {
        "schema_version": 1,
        "kind": "search",
        "status": "complete",
        "reason": None,
        "run_hash": f"{algorithm}{seed}",
        "space": space,
        "dataset": "digits",
        "seed": seed,
        "algorithm": {"name": algorithm, "settings": {}, "notes": []},
        "objective": {"name": "table", **quality.record()},
        "metrics": {"found": found},
        "cost": {"unit": "evaluations", "budget": evaluations, "spent": evaluations},
    }
    (folder / "result.json").write_text(json.dumps(result))
    (folder / "timings.json").write_text("{}")
    return folder


def write_broken(root):
    """One failed, one unfinished, one damaged and one not applicable run."""
    for name in ("failed", "unfinished", "damaged", "inapplicable"):
        (root / name).mkdir(parents=True)
        (root / name / "config.yaml").write_text("")
    (root / "failed" / "error.txt").write_text("Traceback\n  File …\nRuntimeError: loss is nan at step 7\n")
    (root / "damaged" / "result.json").write_text('{"schema_version": 1, "kind"')
    (root / "inapplicable" / "result.json").write_text(
        json.dumps(
            {
                "schema_version": 1,
                "kind": "train",
                "status": "not_applicable",
                "reason": "wsbn=on needs summed inputs, which nasbench201 does not have",
                "run_hash": "na",
                "space": "nasbench201",
                "dataset": "digits",
                "seed": 1,
                "ablation": {"factor": "wsbn", "setting": "on"},
            }
        )
    )
