"""``python -m nas_lightning.report <folders> --out report/``: tables, figures and a page from run folders."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from nas_lightning.runs.archive import unpacked
from nas_lightning.runs.reading import find_runs


def build(folders: Sequence[str | Path], out: str | Path, title: str, replicates: int = 2000) -> dict[str, int]:
    """Write index.html, figures/, ablation.{csv,md,tex} and gap.csv into `out`; returns the number of runs by status.

    Raises ValueError where there is nothing to report or a file cannot be read.
    """
    from nas_lightning.report import draw, figures, gap, page, study, tables
    from nas_lightning.report.misranked import misranked

    runs = find_runs(folders)
    conditions, remarks = study.conditions_of(runs, replicates)
    diagnosis, left_out = misranked(conditions, runs)
    drawn = [*figures.all_figures(conditions, runs), *([diagnosis] if diagnosis["panels"] else [])]
    rows = gap.gaps(conditions)
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    draw.write_pictures(out / "figures", drawn)
    tables.write_csv(out / "ablation.csv", conditions)
    tables.write_markdown(out / "ablation.md", conditions)
    tables.write_latex(out / "ablation.tex", conditions)
    gap.write_csv(out / "gap.csv", rows)
    # Last: a page that is there has all that it links to.
    html = page.render(conditions, runs, drawn, [*remarks, *left_out], title, rows)
    (out / "index.html").write_text(html, encoding="utf-8")
    return dict(Counter(run.status for run in runs))


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0, or 2 with one sentence on standard error where the input is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m nas_lightning.report",
        description="Tables, figures and one offline HTML page from the folders that training and search runs left.",
    )
    parser.add_argument(
        "folders", nargs="+", help="run folders, folders that hold them at any depth, or .tar.xz archives of them"
    )
    parser.add_argument("--out", default="report", help="folder to write to (default: report)")
    parser.add_argument("--title", default="Super-net heuristics: ranking report", help="heading of the page")
    parser.add_argument("--replicates", type=int, default=2000, help="of the bootstrap (default: 2000)")
    given = parser.parse_args(arguments)
    if given.replicates < 100:
        parser.error(f"--replicates {given.replicates} is too few for an interval; give at least 100")
    try:
        with unpacked(given.folders) as folders:
            counts = build(folders, given.out, given.title, given.replicates)
    except ValueError as error:
        print(f"report: {error}", file=sys.stderr)
        return 2
    listed = ", ".join(f"{n} {status}" for status, n in sorted(counts.items()))
    print(f"{Path(given.out) / 'index.html'} ({listed})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
