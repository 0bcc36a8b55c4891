"""The plan refuses contradictions, survives a round trip through plain dicts, and keeps the dict of older plans."""

import hashlib
import json
from pathlib import Path

import pytest

from nas_lightning.plan import DEFAULTS, FIELDS, LATER, Plan, PlanError

WRITTEN_BEFORE = Path(__file__).parent / "fixtures" / "before_the_move"
DIGEST = "9ff93f291853edc09f86cb647aab4d1aed3c8b7eb58ebeba11d02d8072361eb7"
"""Of the default plan, computed before the first field of LATER."""
OTHER = {
    "mapping.bn_affine_outside": True,
    "mapping.partial_channels": 4,
    "protocol.nesterov": True,
    "protocol.distribution": "darts",
    "protocol.selection_portion": 0.5,
    "mapping.word_dropout": 0.1,
    "mapping.input_dropout": 0.2,
    "mapping.cell_dropout": 0.75,
    "mapping.hidden_dropout": 0.25,
    "mapping.output_dropout": 0.75,
    "protocol.slowness": 1e-3,
}
NEEDS = {"protocol.selection_portion": {"protocol.distribution": "darts"}}


def test_round_trip_through_plain_values():
    plan = Plan().edited({"mapping.channels": 24, "protocol.sampling": "fairnas"})
    assert Plan.from_dict(plan.as_dict()) == plan
    assert set(plan.flat()) == set(FIELDS)


def test_a_field_that_joins_the_plan_leaves_old_dicts_as_they_were():
    """Names of runs and checkpoints rest on the dict: a new field must be in LATER, and absent at its default."""
    written = json.loads((WRITTEN_BEFORE / "nasbench201_digits_seed0_78c89297274e" / "result.json").read_text())["plan"]
    old = {f"{part}.{name}" for part in written for name in written[part]}
    assert set(FIELDS) - old == set(LATER) == set(OTHER)
    assert Plan.from_dict(written).as_dict() == written
    text = json.dumps(Plan().as_dict(), sort_keys=True)
    assert hashlib.sha256(text.encode()).hexdigest() == DIGEST


@pytest.mark.parametrize("name", LATER)
def test_a_later_field_counts_where_it_is_set(name):
    part, leaf = name.split(".")
    plan = Plan().edited({name: OTHER[name], **NEEDS.get(name, {})})
    assert DEFAULTS[name] != OTHER[name]
    assert plan.as_dict()[part][leaf] == OTHER[name]
    assert plan.as_dict() != Plan().as_dict()
    assert Plan.from_dict(plan.as_dict()) == plan != Plan.from_dict(Plan().as_dict()) == Plan()


@pytest.mark.parametrize(
    ("edits", "words"),
    [
        ({"mapping.channels": 0}, "mapping.channels=0 is out of range"),
        ({"mapping.ofa_kernel": "on"}, "off, crop, crop\\+transform"),
        ({"protocol.train_portion": 0.0}, "must be above 0"),
        ({"protocol.bn_evaluation": "tracked"}, "track_running_stats=false does not keep"),
        ({"protocol.sampling": "fairnas", "protocol.paths_per_step": 3}, "does not go with sampling=fairnas"),
        ({"protocol.random_member": True}, "belongs to sampling=random_a"),
        ({"protocol.learning_rate": 0.0001}, "learning_rate_min"),
        ({"protocol.learning_rte": 1}, "is no field of the plan"),
        ({"protocol.nesterov": True, "protocol.momentum": 0.0}, "protocol.momentum=0 has none; set a momentum or drop"),
    ],
)
def test_refusals_name_the_field(edits, words):
    with pytest.raises(PlanError, match=words):
        Plan().edited(edits)
