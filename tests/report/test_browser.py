"""The page in headless Chromium: as a reader meets it, from disk and without a network."""

import json

import pytest

from tests.helpers.browser import chromium

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def no_errors(request):
    yield
    if "page" in request.fixturenames:
        assert request.getfixturevalue("page").errors == []


def column(page, name, body=None):
    """Cells of one column of the ablation table, of all conditions or of one."""
    bodies = "[...t.tBodies]" if body is None else f"[t.tBodies[{body}]]"
    return page.evaluate(
        f"""(() => {{ const t = document.getElementById('ablation-table');
        const i = [...t.tHead.rows[0].cells].findIndex(c => c.textContent === {json.dumps(name)});
        const rows = {bodies}.flatMap(b => [...b.rows]).filter(r => r.className !== 'group');
        return rows.map(r => r.cells[i].textContent); }})()"""
    )


def numbers(texts):
    return [float(t.split(" ")[0].replace("−", "-")) for t in texts if t != "–"]


def test_every_plot_is_drawn(page, tmp_path):
    count = page.evaluate("[...document.querySelectorAll('figure')].length")
    assert count > 10
    assert page.evaluate("document.querySelectorAll('.chart').length") == page.evaluate(
        "document.querySelectorAll('.chart[data-drawn] svg').length"
    )
    # A point is a mark of its own, whatever the renderer: runs of the strips, cells of a density.
    points = "#figure-tau-per-setting .mark-symbol path"
    assert page.evaluate(f"document.querySelectorAll('{points}').length") == 2 * 6 * 5 + 2 + 1
    assert page.evaluate("document.querySelectorAll('#figure-scatter .mark-rect path').length") > 100, "density"
    # Nothing may be drawn at no position at all.
    assert not page.evaluate(
        "/NaN|undefined|Infinity/.test([...document.querySelectorAll('svg path')].map(s => s.outerHTML).join())"
    )
    page.screenshot(tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 30_000


def test_the_diagnosis_is_drawn_and_another_predictor_can_be_chosen(page):
    panels = "[...document.querySelectorAll('#figure-misranked .panel')]"
    headings = page.evaluate(f"{panels}.map(p => p.querySelector('h3').textContent)")
    assert headings[0].startswith("darts_nds")
    assert headings[-1].startswith("mode=evaluate")
    assert len(headings) == 4
    last = f"{panels}[3]"
    page.evaluate(f"(s => {{ s.value = '2'; s.dispatchEvent(new Event('change')); }})({last}.querySelector('select'))")
    page.evaluate("drawAll()", wait=True)
    title = page.evaluate(f"{last}.querySelectorAll('h3')[1].textContent")
    assert title.startswith("fusion(seed0 + seed1 + parameters): mean absolute rank error")
    page.hover("#figure-misranked .mark-symbol path", 0)
    assert "property explains" in page.evaluate("document.getElementById('vg-tooltip-element').textContent")


def test_the_gap_and_the_evaluations_are_tables_that_sort(page):
    def cells(table, i):
        return page.evaluate(f"[...document.querySelectorAll('#{table} tbody tr')].map(r => r.cells[{i}].textContent)")

    taus = [float(t.replace("−", "-")) for t in cells("gap-table", 3)]
    page.click("#gap-table th button", 3)
    assert [float(t.replace("−", "-")) for t in cells("gap-table", 3)] == sorted(taus, reverse=True) != taus
    assert cells("evaluations-table", 2) == ["seed0 accuracy", "seed1 accuracy", "fusion(seed0 + seed1 + parameters)"]
    page.click("#evaluations-table th button", 3)
    assert cells("evaluations-table", 2)[0] == "fusion(seed0 + seed1 + parameters)"


def test_table_sorts_within_its_conditions_on_click_both_ways_and_back(page):
    header = "#ablation-table th button"
    original = column(page, "setting")
    index = page.evaluate(
        "[...document.querySelectorAll('#ablation-table thead th')].findIndex(c => c.textContent === 'Δ tau')"
    )
    for expected in (lambda found: sorted(found, reverse=True), sorted):
        page.click(header, index)
        for body in (1, 2):
            texts = column(page, "Δ tau", body)
            assert numbers(texts) == expected(numbers(texts))
            assert len(set(numbers(texts))) > 3
            assert texts[-1] == "–", "missing values stay last"
    page.click(header, index)
    assert column(page, "setting") == original
    heads = page.evaluate("[...document.querySelectorAll('#ablation-table tr.group')].map(r => r.textContent)")
    assert heads == ["darts_nds on digits", "nasbench101 on digits", "nasbench201 on digits"]


def test_filter_hides_rows_and_headings_without_one(page):
    typed = (
        "(i => {{ i.value = {}; i.dispatchEvent(new Event('input')); }})(document.querySelector('input[data-table]'))"
    )
    page.evaluate(typed.format("'fairnas nasbench101'"))
    rows = "[...document.querySelectorAll('#ablation-table tbody tr')].filter(r => !r.hidden)"
    shown = rows + ".map(r => r.cells[{}].textContent)"
    assert page.evaluate(shown.format("Math.min(1, r.cells.length - 1)")) == ["nasbench101 on digits", "fairnas"]
    page.evaluate(typed.format("''"))
    assert len(page.evaluate(shown.format(0))) == 3 + 14 + 3 * 2, "headings, settings, parameter counts and ceilings"


def test_hover_names_the_architecture(page):
    page.hover("#figure-scatter .panel:nth-child(2) .mark-symbol path", 5)
    text = page.evaluate("document.getElementById('vg-tooltip-element').textContent")
    assert "architecture" in text
    assert "Stand-alone accuracy (%)" in text
    page.hover("#figure-scatter .mark-rect path", 40)
    assert "Genotype(" in page.evaluate("document.getElementById('vg-tooltip-element').textContent")


def test_predictors_of_an_evaluation_and_other_runs_can_be_chosen(page):
    for index, choice, heading, expected in (
        (3, 2, "mode=evaluate, ", "fusion(seed0 + seed1 + parameters): Kendall tau 0."),
        (1, 7, "nasbench101", "channels: 16, seed 3: Kendall tau 0."),
    ):
        panel = f"[...document.querySelectorAll('#figure-scatter .panel')][{index}]"
        assert page.evaluate(f"{panel}.querySelector('h3').textContent").startswith(heading)
        page.evaluate(
            f"(s => {{ s.value = '{choice}'; s.dispatchEvent(new Event('change')); }})({panel}.querySelector('select'))"
        )
        page.evaluate("drawAll()", wait=True)
        assert page.evaluate(f"{panel}.querySelectorAll('h3')[1].textContent").startswith(expected)
        assert page.evaluate(f"{panel}.querySelectorAll('.mark-symbol path').length") == 60


def test_nothing_is_wider_than_a_phone(report, browser):
    browser.resize(390, 844)
    browser.open(report / "index.html")
    browser.evaluate("drawAll()", wait=True)
    assert browser.evaluate("document.documentElement.scrollWidth") <= 390
    # Tables of cells scroll within their own frame; all else is narrowed.
    wide = "[...document.querySelectorAll('.chart')].filter(c => c.scrollWidth > c.clientWidth + 1)"
    assert browser.evaluate(f"{wide}.map(c => c.closest('figure').id)") == ["figure-heatmap", "figure-settings"]


def test_a_printed_page_shows_all_rows_and_columns_of_the_ablation(report, browser):
    paper = 1031  # pixels: A4 across, less its margins of 12 mm, at 96 to the inch
    browser.resize(paper, 700)
    browser.print_media()
    browser.open(report / "index.html")
    browser.evaluate("drawAll()", wait=True)
    frame = "document.getElementById('ablation-table').closest('.scroll')"
    assert browser.evaluate("document.getElementById('ablation-table').getBoundingClientRect().right") <= paper
    assert browser.evaluate(f"{frame}.scrollHeight - {frame}.clientHeight") <= 1
    assert browser.evaluate("getComputedStyle(document.querySelector('nav')).display") == "none"


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
    (tmp_path / "bad.html").write_text(
        "<script>console.error('said');</script><script>absent.call();</script>"
        "<img src='http://example.invalid/picture.png'>"
    )
    with chromium() as browser:
        browser.open(tmp_path / "bad.html")
        found = " ".join(browser.errors)
    for needed in ("said", "absent is not defined", "request to http://example.invalid/picture.png"):
        assert needed in found
