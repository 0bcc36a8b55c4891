"""Figures of runs that are judged by something else than accuracy speak of that, and show no percent of it."""

import numpy as np
import pytest

from nas_lightning.report.scatter import ranking_panels, score_label
from nas_lightning.runs.quality import ACCURACY, Quality, quality_of

PERPLEXITY = Quality("negative_cross_entropy", scale="perplexity", shown_name="perplexity")
ERROR = Quality("negative_squared_error", "mm²")


def test_a_result_file_names_its_quality_and_the_old_ones_mean_accuracy():
    assert quality_of({}) == ACCURACY
    assert ACCURACY.record() == {}
    assert quality_of(ERROR.record()) == ERROR
    assert quality_of({"quality": {"name": "x", "scale": "nonsense"}}) == ACCURACY
    assert quality_of({"quality": [1]}) == ACCURACY


def test_numbers_are_shown_in_their_own_unit():
    assert ACCURACY.text(0.9312) == "93.12 %"
    assert PERPLEXITY.text(-np.log(66.7)) == "66.7"
    assert ERROR.text(-0.25) == "-0.25 mm²"
    assert ACCURACY.text(None) == PERPLEXITY.text(float("nan")) == "not known"
    assert (ACCURACY.label, ERROR.label, PERPLEXITY.label) == (
        "accuracy (%)",
        "negative squared error (mm²)",
        "perplexity",
    )
    with pytest.raises(ValueError, match="scale=percents"):
        Quality("x", scale="percents")


def test_axes_name_the_quality():
    truth = np.array([-0.5, -0.4, -0.3])
    assert score_label("negative_squared_error", ERROR) == "Super-net negative squared error (mm²)"
    panels = ranking_panels(
        truth, truth, ["a", "b", "c"], title="", label=score_label(ERROR.name, ERROR), quality=ERROR
    )
    drawn = panels[0].chart.to_json() if hasattr(panels[0], "chart") else str(vars(panels[0]))
    assert "Stand-alone negative squared error (mm²)" in drawn
    assert panels[0].data["rows"]["y"] == [-0.5, -0.4, -0.3]  # not times 100
