"""The plan refuses contradictions and survives a round trip through plain dicts."""

import pytest

from nas_lightning.plan import FIELDS, Plan, PlanError


def test_round_trip_through_plain_values():
    plan = Plan().edited({"mapping.channels": 24, "protocol.sampling": "fairnas"})
    assert Plan.from_dict(plan.as_dict()) == plan
    assert set(plan.flat()) == set(FIELDS)


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
    ],
)
def test_refusals_name_the_field(edits, words):
    with pytest.raises(PlanError, match=words):
        Plan().edited(edits)
