"""The published searches of recurrent cells from end to end, small: what they find and say, and in which words."""

import csv
import json
import math
import re

import pytest

from nas_lightning.spaces import get_space
from tests.helpers import process, small_texts
from tests.helpers.commands import ROOT, only_folder

pytestmark = pytest.mark.slow

SPACE = get_space("rnn_ptb")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A text by characters, a folder, and what makes a training small."""
    folder = tmp_path_factory.mktemp("searches")
    small_texts.write(folder / "mine.txt", 900)
    said = [
        *("data=text", f"data.path={folder / 'mine.txt'}", "data.unit=characters", "data.chunk=7"),
        *(
            "plan.mapping.channels=6",
            "plan.protocol.batch_size=4",
            "plan.protocol.learning_rate=2",
            "trainer=cpu",
            "trainer.threads=1",
        ),
    ]
    return folder, said


def of_images(text):
    """Words that a text has no use for."""
    return re.findall(r"\b(?:accurac\w+|images?|batch norm|points)\b", text)


def test_random_search_with_weight_sharing_from_the_super_net_to_the_trained_cell(small):
    folder, said = small
    small_supernet = ["space=rnn_ptb", "plan.protocol.epochs=1", "evaluation.batch_size=2"]
    trained = process.run(
        [ROOT / "train.py", *small_supernet, *said, "evaluation.architectures=random5_seed0", f"runs={folder / 'net'}"]
    )
    assert trained.returncode == 0, trained.stderr
    assert "Mean perplexity with shared weights" in trained.stdout
    checkpoint = only_folder(folder / "net")
    given = ["search_recipe=rnn_ptb_ws", "budget.amount=8", "objective.batch_size=2", "plan.protocol.epochs=1"]
    done = process.run(
        [ROOT / "search.py", *given, *said, f"checkpoint={checkpoint}", "seed=3", f"runs={folder / 'ws'}"]
    )
    assert done.returncode == 0, done.stderr
    assert "random_search, seed 3: 8 evaluations of 8 architectures, 8 of 8 evaluations" in done.stdout
    assert "objective perplexity" in done.stdout
    assert not of_images(trained.stdout + done.stdout)
    result = json.loads((only_folder(folder / "ws" / "search") / "result.json").read_text())
    best = result["metrics"]["found"]
    assert -math.log(3) * 1.5 < best["truth"] < 0, "really trained, once, from scratch"
    rows = list(csv.DictReader((only_folder(folder / "ws" / "search") / "search.csv").open()))
    assert len(rows) == 8
    assert best["objective"] == max(float(row["objective"]) for row in rows), "of all cells, not of the first half"
    assert f"stand-alone perplexity {math.exp(-best['truth']):.6g}" in done.stdout
    assert SPACE.key(SPACE.parse(best["architecture"])) == best["key"]


def test_asha_over_trained_cells_in_two_trials_prints_seeds_deviation_and_cost(small):
    folder, said = small
    given = ["search_recipe=rnn_ptb_asha", "plan.protocol.epochs=4", "budget.amount=9", "objective.batch_size=2"]
    done = process.run([ROOT / "search.py", "-m", *given, *said, "seed=0,1", f"runs={folder / 'asha'}"])
    assert done.returncode == 0, done.stderr
    assert not of_images(done.stdout)
    results = [json.loads(path.read_text()) for path in sorted((folder / "asha" / "search").glob("*/result.json"))]
    assert [r["seed"] for r in sorted(results, key=lambda r: r["seed"])] == [0, 1]
    truths = {r["seed"]: r["metrics"]["found"]["truth"] for r in results}
    best = max(truths, key=truths.get)
    mean, deviation = sum(truths.values()) / 2, abs(truths[0] - truths[1]) / math.sqrt(2)
    printed = " ".join(done.stdout.split())
    assert f"{math.exp(-mean):.2f} (±{deviation:.2g})" in printed
    assert "mean ± standard deviation over seeds, this in nats" in printed
    assert f"found perplexity {math.exp(-truths[0]):.2f}" in printed
    assert "found -" not in printed
    assert f"asha: seeds 0, 1; the best is seed {best} with {math.exp(-truths[best]):.6g}" in printed
    spent = [r["cost"]["spent"] for r in results]
    assert f"{sum(spent) / 2:.6g} epochs each" in printed
    assert all(9 <= epochs <= 13 for epochs in spent)
