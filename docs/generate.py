"""Writes what the docs take from the source: python docs/generate.py, after any change of a docstring or a field.

docs/HEURISTICS.md and the list in README from the callbacks' docstrings, with their pictures; the configuration's
reference from the schemas. tests/test_docs.py fails where one of them is stale.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator
from html import escape
from pathlib import Path

from nas_lightning.runs.packaged import conf_folder

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from nas_lightning.config.fields import About, documented, extras, heuristics  # noqa: E402
from nas_lightning.config.schema import TrainConfig  # noqa: E402
from nas_lightning.config.search_schema import OBJECTIVES, SearchConfig  # noqa: E402

BEGIN, END = "<!-- heuristics: python docs/generate.py -->", "<!-- end of heuristics -->"
VERDICTS = ("helps", "hurts", "no difference")
COLUMN, LINE = 8.0, 18.0
"""Points between the characters, and between the lines, of a picture."""


def outputs() -> dict[Path, str]:
    """Every generated file with what it should hold."""
    about = heuristics(conf_folder())
    docs = ROOT / "docs"
    found = {docs / "images" / "heuristics" / f"{a.factor}.svg": drawing(a) for a in about}
    found[docs / "HEURISTICS.md"] = page(
        about, extras(conf_folder()), (docs / "ISOLATED.md").read_text(encoding="utf-8")
    )
    found[docs / "reference" / "configuration.md"] = configuration()
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    before, _, rest = readme.partition(BEGIN)
    found[ROOT / "README.md"] = f"{before}{BEGIN}\n{table(about)}{END}{rest.partition(END)[2]}"
    return found


def drawing(about: About) -> str:
    """The picture of a docstring as SVG: one text element a character, so that no font moves it."""
    lines = about.picture.split("\n")
    width, height = COLUMN * (max(map(len, lines)) + 2), LINE * (len(lines) + 0.6)
    marks = []
    for row, line in enumerate(lines):
        for column, mark in enumerate(line):
            if mark != " ":
                x, y = COLUMN * (column + 1.5), LINE * (row + 1)
                marks.append(f'<text x="{x:g}" y="{y:g}">{escape(mark)}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" role="img"><title>{escape(about.factor)}</title>'
        f'<rect width="100%" height="100%" fill="#ffffff"/><g fill="#1f2a3a" text-anchor="middle" font-size="13" '
        f'font-family="DejaVu Sans Mono, Menlo, Consolas, monospace">\n' + "\n".join(marks) + "\n</g></svg>\n"
    )


def table(about: list[About]) -> str:
    """README's list: one line and one picture each."""
    rows = [
        f"| [{a.factor}](docs/HEURISTICS.md#{a.factor}) | {plain(a.line)} | "
        f'<img src="docs/images/heuristics/{a.factor}.svg" alt="{a.factor}" width="260"> |'
        for a in about
    ]
    return "\n".join(["| `heuristics/…` | what it is | |", "|---|---|---|", *rows]) + "\n"


def plain(text: str) -> str:
    """Docstring marks as Markdown has them."""
    return text.replace("``", "`").replace("|", "\\|")


def page(about: list[About], beyond: list[About], study: str) -> str:
    """docs/HEURISTICS.md."""
    lines = [
        "# The 14 heuristics",
        "",
        "One factor of super-net training each: a file in `callbacks/`, a config group, a set of fields of the plan.",
        "`heuristics/<factor>=<setting>` sets one, `heuristics.<factor>=null` removes it, and",
        "`ablation=<factor>_<setting>` changes it alone.",
        "This page is made of the callbacks' docstrings by `python docs/generate.py`.",
        "",
    ]
    for a in about:
        lines += [
            f"## {a.factor}",
            "",
            f"**{a.number}.** {plain(a.line)} {plain(a.sentence) if ':' in a.title else ''}".rstrip(),
            "",
        ]
        lines += [f"![{a.factor}](images/heuristics/{a.factor}.svg)", ""]
        lines += ["| | |", "|---|---|", *(f"| **{name}** | {plain(text)} |" for name, text in a.parts.items())]
        choices = ", ".join(f"`{choice}`" for choice in a.choices)
        lines += [
            f"| **Settings** | {choices}; fields {', '.join(f'`{name}`' for name in a.settings)} |",
            f"| **In our study** | {verdicts(a.factor, study)} |",
            "",
        ]
    lines += [
        "# Beyond the 14",
        "",
        "`extra=<name>` adds one, `'extra=[…,…]'` several; all are off by default.",
        "What they brought where they were tried: [the ranking study](RANKING_STUDY.md).",
        "",
    ]
    for a in beyond:
        lines += [f"## {a.factor}", "", f"{plain(a.line)} {plain(a.sentence) if ':' in a.title else ''}".rstrip(), ""]
        lines += ["| | |", "|---|---|", *(f"| **{name}** | {plain(text)} |" for name, text in a.parts.items())]
        lines += [f"| **Fields** | {', '.join(f'`{name}`' for name in a.settings)} |", ""]
    return "\n".join(lines)


def verdicts(factor: str, study: str) -> str:
    """What docs/ISOLATED.md's tables say of a factor, in words."""
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in study.splitlines() if line.startswith("|")]
    found = Counter(row[2] for row in rows if len(row) > 3 and row[0] == factor and row[2] in VERDICTS)
    if not found:
        return "not part of it"
    said = ", ".join(f"{word} in {found[word]}" for word in VERDICTS if found[word])
    return (
        f"by the strict test (Holm over all settings) {said} of {sum(found.values())} comparisons; "
        "[what it hints at](ISOLATED.md#what-agrees-with-the-literature), [tables](ISOLATED.md#the-tables)"
    )


def configuration() -> str:
    """docs/reference/configuration.md."""
    lines = [
        "# Configuration",
        "",
        "Every field that can be typed, from the schemas, by `python docs/generate.py`; `--help` says the same.",
        "A default stands where no group decides.",
        "",
        "## train.py",
        "",
        *fields_of(TrainConfig),
        "",
        "## search.py",
        "",
        "`space`, `data`, `benchmark`, `plan` and `trainer` are those of train.py.",
        "Algorithms have fields of their own: [Search](../SEARCH.md).",
        "",
        *fields_of(SearchConfig, without=("space.", "data.", "benchmark.", "plan.", "trainer.")),
    ]
    for name, kind in OBJECTIVES.items():
        lines += ["", f"### objective={name}", "", *fields_of(kind, "objective.", without=("objective.name",))]
    return "\n".join(lines) + "\n"


def fields_of(kind: type, prefix: str = "", without: tuple[str, ...] = ()) -> Iterator[str]:
    """A table of the fields of one schema."""
    yield "| field | default | |"
    yield "|---|---|---|"
    for field in documented(kind, prefix):
        if not field.path.startswith(without) or not without:
            default = f"`{field.default}`" if field.default else ""
            sentence = re.sub(r"(\S*<\S+>\S*)", r"`\1`", plain(field.sentence))  # placeholders are no tags
            yield f"| `{field.path}` | {default} | {sentence} |"


def stale() -> list[Path]:
    """The generated files that the source has outrun."""
    return [p for p, text in outputs().items() if not p.is_file() or p.read_text(encoding="utf-8") != text]


if __name__ == "__main__":
    for path in stale():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(outputs()[path], encoding="utf-8")
        print(path.relative_to(ROOT))
