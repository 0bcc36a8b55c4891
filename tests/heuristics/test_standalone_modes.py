"""In mode=standalone and mode=table a heuristic acts, or is refused: none is recorded and does nothing."""

import pytest

from nas_lightning.config.effects import UNREAD, refuse_unread
from nas_lightning.errors import UserError
from nas_lightning.heuristic import NotApplicableError
from nas_lightning.modes.job import compose
from nas_lightning.modes.main import train
from nas_lightning.modes.table import journal_rows
from tests.helpers.commands import composed

ARCH = "'|nor_conv_3x3~0|+|none~0|skip_connect~1|+|nor_conv_1x1~0|none~1|skip_connect~2|'"
SMALL = (
    "recipe=nasbench201_quick",
    "plan.protocol.epochs=2",
    "plan.mapping.channels=2",
    "data.max_train_images=300",
    "trainer.progress_bar=false",
    "trainer.threads=1",
)


def standalone(folder, *overrides):
    return train(composed("mode=standalone", f"architecture={ARCH}", *SMALL, f"runs={folder}", *overrides))


def test_weight_averaging_and_label_smoothing_act_on_one_network(tmp_path):
    plain = standalone(tmp_path)
    for extra in ("weight_averaging", "label_smoothing"):
        found = standalone(tmp_path, f"extra={extra}")
        assert extra in found["heuristics"]
        assert found["run_hash"] != plain["run_hash"]
        assert found["metrics"] != plain["metrics"]


def test_a_table_is_trained_with_its_heuristics(tmp_path):
    few = ("mode=table", *SMALL, "table.architectures=2", "table.seeds=1", "table.workers=1", f"runs={tmp_path}")
    train(composed(*few))
    train(composed(*few, "extra=weight_averaging"))
    plain, averaged = (
        {row["architecture"]: row["validation"] for row in journal_rows(folder)}
        for folder in sorted(tmp_path.iterdir())
    )
    assert plain.keys() == averaged.keys()
    assert plain != averaged


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["standalone", "table"])
@pytest.mark.parametrize(
    "override",
    [
        "heuristics/sampling=fairnas",
        "heuristics/dropout=path",
        "heuristics/ofa_kernel=crop",
        "heuristics/op_placement=node",
        "extra=path_tournament",
        "extra=sharing_curriculum",
        "extra=few_shot",
        "extra=dynas",
        "extra=importance_sampling",
        "extra=ranking_distillation",
    ],
)
def test_what_acts_on_shared_weights_alone_is_refused(mode, override):
    with pytest.raises(NotApplicableError, match=f"does not apply to mode={mode}") as refusal:
        compose(composed(f"mode={mode}", f"architecture={ARCH}", *SMALL, override))
    assert "\n" not in str(refusal.value)


def test_a_field_of_shared_weights_is_refused_where_it_is_typed():
    with pytest.raises(UserError, match=r"plan\.protocol\.sampling=fairnas has no effect in mode=table"):
        refuse_unread(["plan.protocol.sampling=fairnas"], UNREAD["table"])
    refuse_unread(["plan.protocol.epochs=3", "table.seeds=2"], UNREAD["table"])
