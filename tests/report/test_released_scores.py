"""Scores that others released, in the layouts in which they released them, equal scipy's on the published truth.

At hand are zero-cost scores (NASLib's suite as tuples, FreeREA's by index), repeated validation accuracies of
NAS-Bench-101 and learning curves of 214 DARTS genotypes. Predictions of others' one-shot super-nets are not: none of
their files was found in a public repository. The truth is read here anew from the Parquet files, without our tables.
"""

import ast
import csv
import json
import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy.stats import kendalltau, pearsonr, spearmanr, weightedtau

from nas_lightning.benchmarks import Benchmark
from nas_lightning.ranking.summary import jsonable, ranking_record
from nas_lightning.report.__main__ import main
from nas_lightning.report.score_files import read_score_file
from nas_lightning.report.scores import common_scores, truth_of
from nas_lightning.spaces import get_space

ROOT = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("NAS_LIGHTNING_SHARED", ROOT.parent / "shared" / "data")) / "benchmarks"
SUITE = FOLDER / "zerocost_naslib_suite.parquet"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not SUITE.is_file(), reason="no released scores and tables (NAS_LIGHTNING_SHARED)"),
]
PROXIES = ("epe_nas", "fisher", "flops", "grad_norm", "grasp", "jacov", "l2_norm", "nwot", "params", "plain", "snip",
           "synflow", "zen")  # fmt: skip


def suite(space, dataset):
    """Rows of NASLib's suite: tuples, their rows in the space's table, and scores by proxy [n]."""
    table = pq.read_table(SUITE, filters=[("space", "=", space), ("dataset", "=", dataset)]).to_pydict()
    keep = [i for i, jacov in enumerate(table["jacov"]) if jacov is not None]
    scores = {name: [table[name][i] for i in keep] for name in PROXIES}
    whole = {name: values for name, values in scores.items() if None not in values and not np.isnan(values).any()}
    return [table["arch"][i] for i in keep], [table["table_index"][i] for i in keep], whole


def truth(file, column):
    return np.asarray(pq.read_table(FOLDER / f"{file}.parquet", columns=[column])[column].to_numpy(), np.float64)


def oracle(x, y):
    """What scipy and scikit-learn say of predictions and accuracies; the top as the docs define it, ties included."""
    said = {
        "kendall_tau": kendalltau(x, y).statistic,
        "spearman": spearmanr(x, y).statistic,
        "pearson": pearsonr(x, y).statistic,
        "weighted_kendall_tau": weightedtau(x, y).statistic,
        "binned_kendall_tau": kendalltau(x, np.floor(y / 0.001)).statistic,
        "regret_at_k": y.max() - y[np.argsort(-x, kind="stable")[:10]].max(),
    }
    for percent in (10, 25):
        top = y >= np.sort(y)[::-1][int(np.ceil(len(y) * percent / 100)) - 1]
        said[f"kendall_tau_top{percent}pct"] = kendalltau(x[top], y[top]).statistic
    return said


def compared(files, space, benchmark, dataset, exact):
    """Every metric of every predictor in `files` against `oracle`; `exact` are accuracies by the space's own text."""
    known = get_space(space)
    table = Benchmark.open(benchmark, dataset=dataset, root=FOLDER)
    scores = common_scores([read_score_file(file) for file in files], known, parse=table.read)
    measured = truth_of(scores, table)
    metrics = {n: jsonable(ranking_record(x, measured, scores.names)) for n, x in scores.predictors.items()}
    y = np.array([exact[known.format(arch)] for arch in scores.architectures])
    for name, x in scores.predictors.items():
        for metric, value in oracle(x, y).items():
            if metric == "regret_at_k" and len(np.unique(x)) < len(x):
                continue  # equal predictions: whose ten they are is a matter of names
            found = metrics[name][metric]
            if np.isnan(value):  # Pearson of an infinite score, as NASLib's nwot has
                assert found is None
            else:
                assert found == pytest.approx(value, abs=1e-12), (name, metric)
    return scores, metrics


def archs_of(space, texts, accuracies, parse=None):
    known = get_space(space)
    parse = parse or known.parse
    return {known.format(parse(text)): float(a) for text, a in zip(texts, accuracies, strict=True)}


@pytest.mark.parametrize(("dataset", "column"), [("cifar10", "c10_test200_mean"), ("cifar100", "c100_test200_mean")])
def test_naslibs_tuples_of_nasbench201(tmp_path, dataset, column):
    tuples, rows, scores = suite("nasbench201", dataset)
    assert len(scores) > 9
    for name in ("jacov", "snip"):
        (tmp_path / f"{name}.json").write_text(json.dumps(dict(zip(tuples, scores[name], strict=True))))
    with (tmp_path / "all.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["arch", *scores])
        writer.writerows([text, *(v[i] for v in scores.values())] for i, text in enumerate(tuples))
    exact = archs_of("nasbench201", tuples, truth("nasbench201", column)[rows] / 100)
    one, _ = compared([tmp_path / "all.csv"], "nasbench201", "nasbench201", dataset, exact)
    assert len(one.names) == len(set(tuples))
    two, _ = compared([tmp_path / f"{n}.json" for n in ("jacov", "snip")], "nasbench201", "nasbench201", dataset,
                      exact)  # fmt: skip
    assert set(two.predictors) == {"jacov", "snip"}


def test_naslibs_adjacency_tuples_of_nasbench101_as_lists(tmp_path):
    tuples, rows, scores = suite("nasbench101", "cifar10")
    records = [{"arch": list(ast.literal_eval(text)), "jacov": scores["jacov"][i], "snip": scores["snip"][i]}
               for i, text in enumerate(tuples)]  # fmt: skip
    (tmp_path / "scores.json").write_text(json.dumps(records))
    exact = archs_of("nasbench101", tuples, truth("nasbench101", "test_acc_108_mean3")[rows])
    found, _ = compared([tmp_path / "scores.json"], "nasbench101", "nasbench101", "cifar10", exact)
    assert len(found.names) >= 490  # of 500 drawn, some are one cell


def test_indices_of_the_whole_nasbench201_as_a_parquet_file(tmp_path):
    table = pq.read_table(FOLDER / "nasbench201_zerocost.parquet", columns=["index", "c10_logsynflow", "c10_nregions"])
    pq.write_table(table, tmp_path / "freerea.parquet")
    space = get_space("nasbench201")
    texts = pq.read_table(FOLDER / "nasbench201.parquet", columns=["arch_str"])["arch_str"].to_pylist()
    exact = {space.format(space.parse(t)): a for t, a in zip(texts, truth("nasbench201", "c10_test200_mean") / 100,
                                                             strict=True)}  # fmt: skip
    found, metrics = compared([tmp_path / "freerea.parquet"], "nasbench201", "nasbench201", "cifar10", exact)
    assert len(found.names) == 15_625
    assert metrics["c10_logsynflow"]["kendall_tau"] == pytest.approx(0.6301, abs=5e-5)  # as the files' note says


def test_one_repeat_of_nasbench101_by_module_hash(tmp_path):
    table = pq.read_table(FOLDER / "nasbench101_val500.parquet").to_pydict()
    first = {}
    for index, accuracy in zip(table["index"], table["val_acc_108_single"], strict=True):
        first.setdefault(index, accuracy)  # repeats of one cell are other values
    hashes = pq.read_table(FOLDER / "nasbench101_hashes.parquet")["module_hash"]
    texts = [hashes[index].as_py().hex() for index in first]
    (tmp_path / "repeat.json").write_text(json.dumps(dict(zip(texts, first.values(), strict=True))))
    parse = Benchmark.open("nasbench101", dataset="cifar10", root=FOLDER).read
    exact = archs_of("nasbench101", texts, truth("nasbench101", "test_acc_108_mean3")[list(first)], parse)
    _, metrics = compared([tmp_path / "repeat.json"], "nasbench101", "nasbench101", "cifar10", exact)
    assert metrics["score"]["kendall_tau"] > 0.7


def test_early_accuracies_of_the_214_darts_genotypes(tmp_path):
    table = pq.read_table(FOLDER / "darts_random214_cifar10.parquet").to_pydict()
    curves = np.asarray(table["test_acc_curve600"])
    records = [{"genotype": g, "epoch 60": float(c[59]), "epoch 300": float(c[299])}
               for g, c in zip(table["genotype"], curves, strict=True)]  # fmt: skip
    (tmp_path / "curves.json").write_text(json.dumps(records))
    column = "test_acc_final600"
    exact = archs_of("darts_nds", table["genotype"], np.float64(table[column]) / 100)
    _, metrics = compared([tmp_path / "curves.json"], "darts_nds", "darts_random214_cifar10", "cifar10", exact)
    assert metrics["epoch 300"]["kendall_tau"] > metrics["epoch 60"]["kendall_tau"] > 0


def test_the_command_writes_these_numbers(tmp_path):
    tuples, rows, scores = suite("nasbench201", "cifar10")
    accuracies = truth("nasbench201", "c10_test200_mean")[rows] / 100
    known = {text: (x, y) for text, x, y in zip(tuples[:120], scores["jacov"], accuracies, strict=False)}
    (tmp_path / "jacov.json").write_text(json.dumps({text: x for text, (x, _) in known.items()}))
    options = ["--space", "nasbench201", "--benchmark", "nasbench201", "--dataset", "cifar10", "--root", str(FOLDER)]
    assert main(["scores", str(tmp_path / "jacov.json"), *options, "--out", str(tmp_path / "out")]) == 0
    (line, *_) = csv.DictReader((tmp_path / "out" / "scores.csv").open())
    x, y = (np.array(side) for side in zip(*known.values(), strict=True))
    assert float(line["kendall_tau"]) == pytest.approx(kendalltau(x, y).statistic, abs=1e-12)
    assert float(line["weighted_kendall_tau"]) == pytest.approx(weightedtau(x, y).statistic, abs=1e-12)
    assert (line["name"], int(line["n"])) == ("score", len(known))
