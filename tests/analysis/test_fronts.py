"""True fronts of the published tables, and how found ones are judged by them."""

import csv
import json

import numpy as np
import pytest

from nas_lightning.analysis import __main__ as command
from nas_lightning.search.pareto import hypervolume, indicators, pareto_front, scaled

pytestmark = pytest.mark.slow


def test_a_front_against_itself():
    front = np.array([[0.0, 3], [1, 1], [4, 0]])
    found = indicators(front, front)
    assert (found.share, found.distance) == (1.0, 0.0)
    # scaled: (0, 1), (1/4, 1/3), (1, 0); only the middle one is below the nadir in both
    assert found.hypervolume == pytest.approx(0.75 * 2 / 3)
    worse = indicators([[1.0, 1]], front)
    assert worse.share == pytest.approx(1.0)
    assert worse.distance == pytest.approx((np.hypot(1 / 4, 2 / 3) + np.hypot(3 / 4, 1 / 3)) / 3)
    with pytest.raises(ValueError, match="need a point"):
        indicators(np.zeros((0, 2)), front)


@pytest.mark.parametrize(
    ("measure", "size", "volume", "wider"),
    [
        ("params", 14, 0.845509, 1.055509),
        ("macs", 14, 0.846541, 1.056541),
        ("edgegpu_latency_ms", 28, 0.840248, None),
        ("raspi4_latency_ms", 43, 0.949432, None),
        ("fpga_latency_ms", 13, 0.777023, None),
        ("eyeriss_latency_ms", 16, 0.827179, None),
    ],
)
def test_nasbench201_fronts(open_shared, measure, size, volume, wider):
    table = open_shared("nasbench201", "cifar10")
    source = table if measure in ("params", "macs") else open_shared("nasbench201_hw", "cifar10")
    points = np.stack([-table.metric_values(), source.values(measure, table.architectures())], axis=1)
    front = points[pareto_front(points)]
    assert len(front) == size
    assert hypervolume(scaled(front, front), [1, 1]) == pytest.approx(volume, abs=5e-7)
    if wider is not None:
        assert hypervolume(scaled(front, front), [1.1, 1.1]) == pytest.approx(wider, abs=5e-7)


def test_nasbench101_front(open_shared):
    table = open_shared("nasbench101")
    error, params = 100 * (1 - table.metric_values()), table.values("params")
    points = np.stack([error, params], axis=1)
    front = points[pareto_front(points)]
    assert len(front) == 43
    assert hypervolume(scaled(front, front), [1, 1]) == pytest.approx(0.950908, abs=5e-7)
    logarithmic = np.stack([error, np.log(params)], axis=1)[pareto_front(points)]
    assert hypervolume(logarithmic, [100, np.log(49_979_275)]) == pytest.approx(496.0399, abs=5e-4)


def test_command(open_shared, tmp_path, capsys):
    path = str(open_shared("nasbench201").path)
    assert (
        command.main(["fronts", "--benchmark", path, "--seeds", "2", "--evaluations", "40", "--out", str(tmp_path)])
        == 0
    )
    rows = list(csv.DictReader((tmp_path / "fronts.csv").open()))
    assert [row["front"] for row in rows] == ["true, 14 points", "nsga2", "random_search"]
    assert all(0 < float(row["share"]) <= 1 for row in rows)
    assert (tmp_path / "fronts.svg").stat().st_size > 5000
    page = (tmp_path / "fronts.html").read_text()
    assert page.split("<table")[1].split("</table>")[0].count("<tr>") == 1 + len(rows)
    assert 'id="figure-fronts"' in page
    held = json.loads(page.split('id="report-data">')[1].split("</script>")[0])
    assert held["figures"][0]["id"] == "fronts"
    assert len(held["figures"][0]["panels"]) == 1
    missing = [
        "--measures",
        "edgetpu_latency_ms",
        "--measures-from",
        str(open_shared("nasbench201_hw").path),
        "--out",
        str(tmp_path),
    ]
    assert command.main(["fronts", "--benchmark", path, "--seeds", "1", "--evaluations", "20", *missing]) == 0
