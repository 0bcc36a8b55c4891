"""What a command prints: no number is cut off, in a file or on a narrow terminal."""

import io

import pytest
from rich.console import Console

from nas_lightning.analysis import output

ROWS = [
    {"algorithm": "regularized_evolution:population=10:sample=3", "50": "0.01875 ± 0.0031", "100": "0.01097 ± 0.0015"},
    {"algorithm": "bohb", "50": "0.01448 ± 0.0039", "100": "0.004567 ± 0.0023"},
]
TITLE = "fcnet_hpolib protein_structure: regret of the incumbent, mean of 20 seeds ± standard error [median]"


@pytest.fixture
def printed(monkeypatch):
    def print_on(width, terminal, **arguments):
        text = io.StringIO()
        monkeypatch.setattr(output, "console", Console(file=text, width=width, force_terminal=terminal, no_color=True))
        output.print_rows(TITLE, ROWS, **arguments)
        return text.getvalue()

    return print_on


@pytest.mark.parametrize("transposed", [False, True])
def test_a_file_has_whole_lines(printed, transposed):
    text = printed(40, False, transposed=transposed)
    assert TITLE in text.splitlines()
    for row in ROWS:
        assert all(value in text for value in row.values())
    assert "…" not in text


@pytest.mark.parametrize("width", [30, 62])
def test_a_narrow_terminal_folds_names_and_cuts_no_number(printed, width):
    text = printed(width, True)
    assert "regulari" in text
    assert ROWS[0]["algorithm"] not in text
    for row in ROWS:
        assert all(value in text for value in list(row.values())[1:])
    assert "…" not in text
    lines = [line for line in text.splitlines() if "±" in line and TITLE not in line]
    assert max(map(len, lines)) <= max(width, 52), "names give way before lines run over"


def test_a_wide_terminal_folds_nothing(printed):
    assert ROWS[0]["algorithm"] in printed(120, True)


def test_titles_name_table_and_data_set(open_shared):
    assert output.label(open_shared("nasbench201", "cifar100")) == "nasbench201 cifar100"
