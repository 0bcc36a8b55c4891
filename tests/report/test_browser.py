"""The page in headless Chromium: as a reader meets it, from disk and without a network."""

import json

import pytest

from tests.helpers.browser import Browser, find_chromium


@pytest.fixture(autouse=True)
def no_errors(request):
    yield
    if "page" in request.fixturenames:
        assert request.getfixturevalue("page").errors == []


def figure(page, key):
    data = json.loads(page.evaluate("document.getElementById('report-data').textContent"))
    return next(f for f in data["figures"] if f["id"] == key)


def column(page, name):
    return page.evaluate(
        f"""(() => {{ const t = document.getElementById('ablation-table');
        const i = [...t.tHead.rows[0].cells].findIndex(c => c.textContent === {json.dumps(name)});
        return [...t.tBodies[0].rows].map(r => r.cells[i].textContent); }})()"""
    )


def numbers(texts):
    return [float(t.split(" ")[0].replace("−", "-")) for t in texts if t != "–"]


def test_every_plot_is_drawn(page, report, tmp_path):
    for figure in ("tau-per-setting", "scatter", "epochs-kendall-tau", "epochs-supernet-accuracy", "search"):
        count = page.evaluate(f"document.querySelectorAll('#figure-{figure} svg').length")
        assert count >= 1, figure
    assert page.evaluate("document.querySelectorAll('#figure-tau-per-setting .point').length") == 2 * 6 * 5 + 2 + 1
    assert page.evaluate("document.querySelectorAll('#figure-scatter .cell').length") > 100, (
        "density above 2,000 points"
    )
    assert page.evaluate("document.querySelectorAll('#figure-settings .curve').length") == 2 * 6 * 5 + 2
    # The parameter count's tau, in every plot of taus.
    for name, count in (
        ("epochs-kendall-tau", 3),
        ("cost-passes", 3),
        ("cost-seconds", 3),
        ("epochs-supernet-accuracy", 0),
    ):
        assert page.evaluate(f"document.querySelectorAll('#figure-{name} .level').length") == count
    # Nothing may be drawn outside its picture, or at no position at all.
    assert not page.evaluate(
        "/NaN|undefined|Infinity/.test([...document.querySelectorAll('svg')].map(s => s.innerHTML).join())"
    )
    page.screenshot(tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 30_000


def test_the_diagnosis_is_drawn_and_another_predictor_can_be_chosen(page):
    diagnosis = figure(page, "misranked")["panels"]
    groups = [p["group"] for p in diagnosis]
    assert groups[0].startswith("darts_nds")
    assert groups[-1].startswith("mode=evaluate")
    panels = "[...document.querySelectorAll('#figure-misranked .panel')]"
    assert page.evaluate(f"{panels}.length") == len(set(groups)) == 4
    assert page.evaluate(f"{panels}[0].querySelectorAll('.point').length") == len(diagnosis[0]["rows"]) > 10
    last = f"{panels}[3]"
    page.evaluate(f"(s => {{ s.value = '2'; s.dispatchEvent(new Event('change')); }})({last}.querySelector('select'))")
    title = page.evaluate(f"{last}.querySelectorAll('h3')[1].textContent")
    assert title.startswith("fusion(seed0 + seed1 + parameters): mean absolute rank error")
    page.hover("#figure-misranked .point", 0)
    assert "explains" in page.evaluate("document.getElementById('tip').textContent")


def test_the_gap_and_the_evaluations_are_tables_that_sort(page):
    def cells(table, i):
        return page.evaluate(f"[...document.querySelectorAll('#{table} tbody tr')].map(r => r.cells[{i}].textContent)")

    taus = [float(t.replace("−", "-")) for t in cells("gap-table", 3)]
    page.click("#gap-table th button", 3)
    assert [float(t.replace("−", "-")) for t in cells("gap-table", 3)] == sorted(taus, reverse=True) != taus
    assert cells("evaluations-table", 2) == ["seed0 accuracy", "seed1 accuracy", "fusion(seed0 + seed1 + parameters)"]
    page.click("#evaluations-table th button", 3)
    assert cells("evaluations-table", 2)[0] == "fusion(seed0 + seed1 + parameters)"


def test_table_sorts_on_click_both_ways_and_back(page):
    header = "#ablation-table th button"
    original = column(page, "setting")
    index = page.evaluate(
        "[...document.querySelectorAll('#ablation-table th')].findIndex(c => c.textContent === 'Δ tau')"
    )
    page.click(header, index)
    found = numbers(column(page, "Δ tau"))
    assert found == sorted(found, reverse=True)
    assert len(set(found)) > 3
    assert column(page, "Δ tau")[-1] == "–", "missing values stay last"
    page.click(header, index)
    found = numbers(column(page, "Δ tau"))
    assert found == sorted(found)
    assert column(page, "Δ tau")[-1] == "–"
    page.click(header, index)
    assert column(page, "setting") == original
    page.click(header, 1)
    factors = column(page, "factor")
    assert factors == sorted(factors, reverse=True)
    page.click(header, 1)
    page.click(header, 1)


def test_filter_hides_rows(page):
    page.evaluate(
        "(i => { i.value = 'fairnas nasbench101'; i.dispatchEvent(new Event('input')); })"
        "(document.querySelector('input[data-table]'))"
    )
    shown = (
        "[...document.querySelectorAll('#ablation-table tbody tr')]"
        ".filter(r => !r.hidden).map(r => r.cells[2].textContent)"
    )
    assert page.evaluate(shown) == ["fairnas"]
    page.evaluate(
        "(i => { i.value = ''; i.dispatchEvent(new Event('input')); })(document.querySelector('input[data-table]'))"
    )
    assert len(page.evaluate(shown)) == 14 + 3 * 2, "the parameter count and the noise ceiling of three conditions too"


def test_hover_names_the_architecture(page):
    page.hover("#figure-scatter .point", 5)
    text = page.evaluate(
        "document.getElementById('tip').style.display === 'block' && document.getElementById('tip').textContent"
    )
    assert "Genotype(" in text
    assert "Stand-alone accuracy (%)" in text


def test_hover_names_an_architecture_of_a_dense_cell(page):
    page.hover("#figure-scatter .cell", 40)
    assert "Genotype(" in page.evaluate("document.getElementById('tip').textContent")


def test_predictors_of_an_evaluation_are_scatters_too(page):
    panel = "[...document.querySelectorAll('#figure-scatter .panel')][3]"
    assert page.evaluate(f"{panel}.querySelector('h3').textContent").startswith("mode=evaluate, ")
    page.evaluate(f"(s => {{ s.value = '2'; s.dispatchEvent(new Event('change')); }})({panel}.querySelector('select'))")
    title = page.evaluate(f"{panel}.querySelectorAll('h3')[1].textContent")
    assert title.startswith("fusion(seed0 + seed1 + parameters): Kendall tau 0.")
    assert page.evaluate(f"{panel}.querySelector('svg').textContent").endswith("Stand-alone accuracy (%)")


def test_another_run_can_be_chosen_and_series_hidden(page):
    panel = "[...document.querySelectorAll('#figure-scatter .panel')][1]"  # nasbench101, after darts_nds
    title = f"{panel}.querySelectorAll('h3')[1].textContent"
    assert page.evaluate(title).startswith("baseline, seed 1: Kendall tau 0.")
    page.evaluate(f"(s => {{ s.value = '7'; s.dispatchEvent(new Event('change')); }})({panel}.querySelector('select'))")
    assert page.evaluate(title).startswith("channels: 16, seed 3: Kendall tau 0.")
    visible = f"[...{panel}.querySelectorAll('.point')].filter(p => p.style.display !== 'none').length"
    assert page.evaluate(visible) == 60
    page.click("#figure-scatter .panel:nth-child(2) .legend button", 0)
    assert page.evaluate(visible) == 10, "the top alone"
    page.click("#figure-scatter .panel:nth-child(2) .legend button", 0)
    assert page.evaluate(visible) == 60


def test_what_is_missing_is_listed(page):
    text = page.evaluate("document.getElementById('missing').textContent")
    for needed in (
        "loss is nan at step 7",
        "still running, or interrupted",
        "is no JSON",
        "wsbn=on needs summed inputs",
    ):
        assert needed in text


def test_the_harness_itself_sees_errors_and_requests(tmp_path):
    """Else `no_errors` above could never fail."""
    executable = find_chromium()
    if executable is None:
        pytest.skip("no chromium on this machine (Debian: apt-get install chromium)")
    (tmp_path / "bad.html").write_text(
        "<script>console.error('said');</script><script>absent.call();</script>"
        "<img src='http://example.invalid/picture.png'>"
    )
    browser = Browser(executable)
    try:
        browser.open(tmp_path / "bad.html")
        found = " ".join(browser.errors)
    finally:
        browser.close()
    for needed in ("said", "absent is not defined", "request to http://example.invalid/picture.png"):
        assert needed in found
