"""A chart of an analysis as a panel of a page like the report's."""

import json
import math

import altair as alt
import pytest

from nas_lightning.analysis.figure import colour, logarithmic, panel, save, styled


def test_what_a_page_cannot_hold_is_missing_and_no_column_is_lost(tmp_path):
    rows = [{"x": 1.0, "y": math.nan}, {"x": math.inf, "y": 2.0, "name": "b"}]
    chart = styled(alt.Chart(alt.Data(values=rows)).mark_point().encode(x="x:Q", y="y:Q"), "Two rows")
    (columns,) = panel(chart).data.values()
    assert columns == {"x": [1.0, None], "y": [None, 2.0], "name": [None, "b"]}
    save(chart, tmp_path, "two", rows=[{"row": "a", "value": None}, {"row": "b", "value": 2.5}], heading="a < b")
    page = (tmp_path / "two.html").read_text()
    assert "<title>a &lt; b</title>" in page
    table = page.split("<table")[1].split("</table>")[0]
    assert 'data-value="">–</td>' in table
    assert 'data-value="2.5">2.5</td>' in table
    held = json.loads(page.split('id="report-data">')[1].split("</script>")[0])
    assert held["figures"][0]["panels"][0]["data"]
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".html", ".pdf", ".png", ".svg"]


def test_further_tables_stand_on_the_page(tmp_path):
    chart = styled(alt.Chart(alt.Data(values=[{"x": 1}])).mark_point().encode(x="x:Q"), "One")
    save(
        chart,
        tmp_path,
        "one",
        rows=[{"row": "a"}],
        heading="One",
        further={"Champions": [{"niche": "all", "error": 7.5}]},
    )
    page = (tmp_path / "one.html").read_text()
    assert page.index(">Champions</h2>") > page.index('<figure id="figure-one">')
    assert 'data-value="7.5">7.5</td>' in page


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([5.6, 90.0], [10, 20, 50, 100]),
        ([0.00045, 0.1], [0.001, 0.003, 0.01, 0.03, 0.1]),
        ([1, 2e6], [1, 10, 100, 1000, 10000, 100000, 1000000]),
        ([0.0, 3.0, float("inf")], [3.0]),
    ],
)
def test_a_logarithmic_axis_reaches_as_far_as_its_values(values, ticks):
    found = logarithmic(values, [3.0] if len(values) == 3 else None)
    known = [value for value in values if 0 < value < float("inf")]
    low, high = found["scale"].to_dict()["domain"]
    assert min(known) / 2 < low < min(known) <= max(known) < high < 2 * max(known)
    assert found["axis"].to_dict()["values"] == pytest.approx(ticks)


def test_a_long_name_is_not_cut_from_the_legend(tmp_path):
    name = "regularized_evolution:population=10:sample=3:and_a_setting=more"
    chart = (
        alt.Chart(alt.Data(values=[{"x": 1, "name": name}])).mark_point().encode(x="x:Q", color=colour("name", [name]))
    )
    save(styled(chart, "One"), tmp_path, "one", rows=[{"row": "a"}], heading="One")
    assert f">{name}<" in (tmp_path / "one.svg").read_text()
