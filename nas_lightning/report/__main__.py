"""``python -m nas_lightning.report <folders> --out report/``: tables, figures and a page from run folders."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nas_lightning.errors import UserError
from nas_lightning.processes.output import forgiving_output
from nas_lightning.processes.signals import Stopped, stoppable
from nas_lightning.report.figure import FORMATS
from nas_lightning.runs.archive import unpacked
from nas_lightning.runs.files import remove_leftovers, write_atomically
from nas_lightning.runs.json_file import clean
from nas_lightning.runs.reading import Run, checked, find_runs
from nas_lightning.spaces import get_space

if TYPE_CHECKING:
    from nas_lightning.report.gap import Gap
    from nas_lightning.report.study import Condition


MOST_REPLICATES = 1_000_000


def build(
    folders: Sequence[str | Path],
    out: str | Path,
    title: str = "",
    replicates: int = 2000,
    shown: Sequence[str] | None = None,
    *,
    formats: Sequence[str] = FORMATS,
) -> dict[str, int]:
    """Write index.html, figures/, ablation.{csv,md,tex}, gap.csv and searches.csv into `out`.

    Returns the number of runs by status.
    `shown` is what each folder is called on the page, by default its path; `formats` are those of the pictures.
    Raises UserError where there is nothing to report; OSError where `out` cannot be written.
    """
    from nas_lightning.report import gap, search_tables, study, tables
    from nas_lightning.report.search_curves import searches_of

    out = Path(out)
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out} is a file; name a folder")
    runs = [checked(run) for run in find_runs(folders, shown)]
    out.mkdir(parents=True, exist_ok=True)  # what cannot be written to is known before the work
    remove_leftovers(out)
    remove_leftovers(out / "figures")
    conditions, remarks = study.conditions_of(runs, replicates)
    rows = gap.gaps(conditions)
    tables.write_csv(out / "ablation.csv", conditions)
    tables.write_markdown(out / "ablation.md", conditions)
    tables.write_latex(out / "ablation.tex", conditions)
    gap.write_csv(out / "gap.csv", rows)
    search_tables.write_csv(out / "searches.csv", searches_of(runs))
    write_page(out, conditions, runs, remarks=remarks, title=clean(title), gaps=rows, formats=formats)
    return dict(Counter(run.status for run in runs))


def write_page(
    out: Path,
    conditions: Sequence[Condition],
    runs: Sequence[Run],
    remarks: Sequence[str],
    title: str,
    *,
    gaps: Sequence[Gap] = (),
    more: Sequence[tuple[str, str, str]] = (),
    formats: Sequence[str] = FORMATS,
) -> None:
    """Write figures/ and, last, index.html: a page that is there has all that it links to. Arguments as of
    `nas_lightning.report.page.render`."""
    from nas_lightning.report import figures, page
    from nas_lightning.report.figure import write_pictures
    from nas_lightning.report.misranked import misranked

    diagnosis, left_out = misranked(conditions, runs)
    drawn = [*figures.all_figures(conditions, runs), *([diagnosis] if diagnosis.panels else [])]
    write_pictures(out / "figures", drawn, formats)
    html = page.render(
        conditions, runs, drawn, remarks=[*remarks, *left_out], title=title, gaps=gaps, more=more, formats=formats
    )
    write_atomically(out / "index.html", html.encode())


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0, or 2 with one sentence on standard error where the input is wrong."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with stoppable():  # temporary folders are removed on the way out
            if arguments[:1] == ["scores"] and not Path("scores").is_dir():
                from nas_lightning.report.scores import main as of_scores

                return of_scores(arguments[1:])
            return _of_runs(arguments)
    except Stopped as stopped:
        print("report: interrupted; the same command makes the whole report", file=sys.stderr)
        return stopped.exit_code


def _of_runs(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m nas_lightning.report",
        description="Tables, figures and one offline HTML page from the folders that training and search runs left.",
        epilog="python -m nas_lightning.report scores --help: score files of other methods.",
    )
    parser.add_argument(
        "folders", nargs="+", help="run folders, folders that hold them at any depth, or .tar.xz archives of them"
    )
    parser.add_argument("--out", default="report", help="folder to write to (default: report)")
    parser.add_argument("--title", default="", help="heading of the page (default: by what the runs are)")
    parser.add_argument("--replicates", type=int, default=2000, help="of the bootstrap (default: 2000)")
    parser.add_argument(
        "--formats",
        nargs="+",
        choices=[*FORMATS, "none"],
        default=FORMATS,
        help="of the pictures in OUT/figures: png svg pdf (default: all), or none, which takes half the time",
    )
    parser.add_argument("--space", action="append", default=[], help="dotted path of one's own search space; repeat")
    given = parser.parse_args(arguments)
    formats = [f for f in given.formats if f != "none"]
    if formats and len(formats) < len(given.formats):
        parser.error("--formats takes none alone, or some of png, svg and pdf")
    if not 100 <= given.replicates <= MOST_REPLICATES:
        many = "few for an interval" if given.replicates < 100 else "many to be computed"
        parser.error(f"--replicates {str(given.replicates)[:20]} is too {many}; give 100 to {MOST_REPLICATES:,}")
    try:
        for target in given.space:
            get_space(target)  # known by its name from here on
        with unpacked(given.folders) as folders:
            counts = build(folders, given.out, given.title, given.replicates, shown=given.folders, formats=formats)
    except OSError as error:
        print(
            f"report: {given.out} cannot be written ({error.strerror or error}); choose another --out", file=sys.stderr
        )
        return 2
    except UserError as error:
        print(f"report: {error}", file=sys.stderr)
        return 2
    listed = ", ".join(f"{n} {status}" for status, n in sorted(counts.items()))
    print(f"{Path(given.out) / 'index.html'} ({listed})")
    return 0


if __name__ == "__main__":
    forgiving_output()
    sys.exit(main())
