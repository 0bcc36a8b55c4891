"""Niches: by hand, the exact sums of the published tables, and a search that fills them."""

import csv

import numpy as np
import pytest

from nas_lightning.analysis import __main__ as command
from nas_lightning.analysis.niches import QUANTILES, Niches

NB101 = (650520, 824848, 1227914, 1664778, 2538506, 3468426, 3989898, 5356682, 8118666, np.inf)


def test_by_hand():
    niches = Niches((1.0, 5.0, np.inf))
    error, resource = np.array([9.0, 4.0, 4.0, 2.0]), np.array([3.0, 5.0, 4.0, 8.0])
    assert niches.champions(error, resource).tolist() == [-1, 2, 3]  # 5 is not below 5
    assert niches.total(error, resource) == 100 + 4 + 2


def test_nasbench101_sums(open_shared):
    table = open_shared("nasbench101")
    error, params = 100 * (1 - table.metric_values()), table.values("params")
    assert Niches.of(params, QUANTILES["large"]).bounds == NB101
    for name, total in (("small", 11.8423), ("medium", 38.3480), ("large", 74.4558)):
        assert Niches.of(params, QUANTILES[name]).total(error, params) == pytest.approx(total, abs=5e-5)


def test_nasbench201_sums(open_shared):
    table, hardware = open_shared("nasbench201", "cifar10"), open_shared("nasbench201_hw", "cifar10")
    error = 100 * (1 - table.metric_values("validation_accuracy", 200))
    latency = hardware.values("edgegpu_latency_ms", table.architectures())
    for name, total in (("small", 17.0273), ("medium", 129.2687), ("large", 254.2293)):
        assert Niches.of(latency, QUANTILES[name]).total(error, latency) == pytest.approx(total, abs=5e-5)


@pytest.mark.slow
def test_command(open_shared, tmp_path):
    words = ["--benchmark", str(open_shared("nasbench201").path), "--niches", "medium", "--evaluations", "30"]
    words += [
        "--seeds",
        "2",
        "--algorithms",
        "random_search",
        "bop_elites:trees=10",
        "bop_elites_hb:trees=10",
        "qdhb",
        "--out",
        str(tmp_path),
    ]
    assert command.main(["niches", *words]) == 0
    rows = {row["algorithm"]: float(row["sum"]) for row in csv.DictReader((tmp_path / "niches.csv").open())}
    assert rows["optimum"] < min(rows["bop_elites:trees=10"], rows["random_search"])
    drawn = (tmp_path / "niches.svg").read_text()
    for label in ("1: &lt; ", "2: &lt; ", ": all<"):
        assert label in drawn, "niches of equal bounds are bars of their own"
    champions = list(csv.DictReader((tmp_path / "champions.csv").open()))
    assert sum(float(champion["error"]) for champion in champions) == pytest.approx(rows["optimum"])
    filled = [champion for champion in champions if champion["architecture"]]
    assert all(float(champion["params"]) < float(champion["bound"] or "inf") for champion in filled)
    assert champions[-1]["architecture"] in (tmp_path / "niches.html").read_text(), "the page names the champions"
    kept = (tmp_path / "searches.jsonl").read_text().splitlines()
    assert len(kept) == 8
    (tmp_path / "searches.jsonl").write_text("\n".join(kept[:5]) + "\n" + kept[5][:40])  # as if stopped in the middle
    before = (tmp_path / "niches.csv").read_bytes()
    assert command.main(["niches", *words]) == 0
    assert (tmp_path / "niches.csv").read_bytes() == before
    assert len((tmp_path / "searches.jsonl").read_text().splitlines()) == 9  # with the piece
