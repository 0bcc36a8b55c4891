"""A chart of an analysis as a panel of a page like the report's."""

import json
import math

import altair as alt

from nas_lightning.analysis.figure import panel, save, styled


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
