"""The page of a study of 674 runs stays under 3 MB: what one more run and one more setting may cost."""

import pytest

from tests.helpers.large_study import page_size, write_large_study

MOST = 3_000_000


@pytest.mark.slow
def test_what_a_run_costs_stays_within_a_study_of_674(tmp_path):
    small = page_size(write_large_study(tmp_path / "a", runs=30, n=40), tmp_path / "a-out")
    large = page_size(write_large_study(tmp_path / "b", runs=60, n=40), tmp_path / "b-out")
    each = (large - small) / 30
    assert small + each * (674 - 30) < MOST, f"{each:,.0f} bytes a run"
