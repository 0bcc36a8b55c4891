"""What composition lets through and nothing reads, does not exist or is out of range is refused in one sentence."""

import copy
from pathlib import Path

import pytest
from hydra.core.config_store import ConfigStore

from nas_lightning.config.check import LARGEST_SEED, RANGES, check_configuration
from nas_lightning.config.schema import register
from nas_lightning.errors import UserError
from tests.helpers.commands import command
from tests.helpers.composing import composed_by

ROOT = Path(__file__).parents[1]


def composed(script, *overrides):
    return composed_by(script, overrides)


@pytest.mark.parametrize("script", ["train", "search"])
def test_what_is_shipped_passes(script):
    check_configuration(composed(script))


@pytest.mark.parametrize(
    ("script", "typed", "advice"),
    [
        ("train", "+trainer.max_epochs=3", "plan.protocol.epochs"),
        ("train", "+trainer.gradient_clip_val=1", "plan.protocol.gradient_clip"),
        ("train", "+lr=0.5", "plan.protocol.learning_rate"),
        ("train", "+evaluation.n=5", "evaluation.architectures"),
        ("search", "+budgett=5", "say budget.unit=… or budget.amount=…"),
        ("search", "+algoritm=asha", "say algorithm=…"),
        ("search", "+objective.valu=x", "objective.value"),
    ],
)
def test_an_added_key_that_nothing_reads_is_refused_with_the_one_that_acts(script, typed, advice):
    with pytest.raises(UserError, match="nothing reads") as refusal:
        check_configuration(composed(script, typed))
    assert advice in str(refusal.value)


def test_a_heuristic_of_ones_own_is_no_unread_key():
    check_configuration(
        composed("train", "+heuristics.mine={_target_: callbacks.weight_decay.WeightDecay, value: 0.1}")
    )


@pytest.mark.parametrize("name", sorted(RANGES))
def test_numbers_out_of_range_are_refused(name):
    script = "search" if name.startswith("objective.") else "train"
    base = ["objective=supernet"] if script == "search" else []
    low = RANGES[name][0]
    value = -1 if name == "evaluation.threshold" else int(low) - 1
    with pytest.raises(UserError, match="out of range"):
        check_configuration(composed(script, *base, f"{name}={value}"))


@pytest.mark.parametrize("seed", [-1, LARGEST_SEED + 1, 10**18])
def test_seeds_that_pytorch_cannot_hold_are_refused(seed):
    with pytest.raises(UserError, match="seeds are 0 to"):
        check_configuration(composed("train", f"seed={seed}"))


def test_no_advice_that_does_not_work(tmp_path):
    done = command("trainer.max_epochs=3", f"runs={tmp_path}")
    assert done.returncode == 2
    assert "plan.protocol.epochs" in done.stderr
    assert "+trainer" not in done.stderr


def test_a_dry_run_of_a_sweep_with_a_job_that_would_fail_says_so_by_its_exit_code(tmp_path):
    sweep = ("-m", "recipe=nasbench201_quick", "dry_run=true")
    for last, expected in (("ablation=baseline,sampling_fairnass", 2), ("ablation=baseline,sampling_fairnas", 0)):
        done = command(*sweep, last, f"runs={tmp_path}")
        assert done.returncode == expected, done.stderr


@pytest.mark.parametrize("typed", ["ablation=sampling_fairnass", "starting_point=nasbench201_digit"])
@pytest.mark.parametrize("dry", [True, False])
def test_a_misspelt_choice_is_refused_with_the_nearest(typed, dry, tmp_path):
    done = command(typed, f"runs={tmp_path}", *(["dry_run=true"] if dry else []))
    assert done.returncode == 2
    said = done.stdout + done.stderr
    assert "does not exist" in said
    assert ("sampling_fairnas" if "ablation" in typed else "nasbench201_digits") in said
    assert "Traceback" not in said
    assert not any(tmp_path.iterdir())


def test_hydras_copies_share_the_schemas_and_what_is_loaded_is_a_copy():
    register()
    store = ConfigStore.instance()
    assert copy.deepcopy(store) is store
    loaded = store.load("train_schema.yaml").node
    loaded.seed = 77
    assert store.load("train_schema.yaml").node.seed == 0
