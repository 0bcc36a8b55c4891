"""``python -m nas_lightning.logging.dashboard``: the ablation dashboard as a W&B workspace.

W&B has bars, scatters, lines and parallel coordinates of its own; what it lacks (box plots with the baseline band, the
ablation table) is put beside them as the report's pictures, in a run of job type ``report``. Needs the extra
``dashboard`` (the package wandb-workspaces), and a key, except with ``--spec``, which only writes what would be sent.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nas_lightning.logging.wandb import has_key
from nas_lightning.processes.output import forgiving_output
from nas_lightning.runs.files import write_atomically
from nas_lightning.runs.quality import ACCURACY

PICTURES = "report"  # prefix of the keys under which the report's pictures are logged


class DashboardError(Exception):
    """What is missing, in one sentence."""


def build(
    entity: str, project: str, study: str | None = None, factors: Sequence[str] = (), quality: str = ACCURACY.name
) -> Any:
    """The workspace: rankings by setting, over training, against cost and baseline, and the settings of every run.

    Args:
        entity: W&B's user or team.
        project: W&B's project.
        study: only runs of this group.
        factors: config keys (``protocol.learning_rate``) that become axes of the parallel coordinates.
        quality: what the runs' networks are judged by, the name of `Task.quality`: it is logged as
            ``supernet_<quality>``.

    Raises:
        DashboardError: where wandb-workspaces is not installed.
    """
    try:
        import wandb_workspaces.reports.v2 as panels
        import wandb_workspaces.workspaces as workspaces
    except ModuleNotFoundError as error:
        raise DashboardError(
            "the dashboard needs the package wandb-workspaces: pip install nas-lightning[dashboard]"
        ) from error

    setting = panels.Config("ablation.setting")
    own, in_words = f"supernet_{quality}", quality.replace("_", " ")

    def bars(metric: str, title: str) -> Any:
        return panels.BarPlot(
            title=title,
            metrics=[panels.SummaryMetric(metric)],
            groupby=setting,
            groupby_aggfunc="mean",
            groupby_rangefunc="stddev",
        )

    def curve(metric: str, title: str) -> Any:
        return panels.LinePlot(
            title=title,
            x="epoch",
            y=[metric],
            groupby=setting,
            groupby_aggfunc="mean",
            groupby_rangefunc="minmax",
        )

    def against(x: Any, title: str) -> Any:
        return panels.ScatterPlot(title=title, x=x, y=panels.SummaryMetric("kendall_tau"))

    axes = [panels.ParallelCoordinatesPlotColumn(panels.Config(f)) for f in ("space", *factors, "ablation.setting")]
    axes += [panels.ParallelCoordinatesPlotColumn(panels.SummaryMetric(m)) for m in (own, "kendall_tau")]
    sections = {
        "Ranking by setting": [
            bars("kendall_tau", "Kendall tau (mean, s.d. over seeds)"),
            bars("sparse_kendall_tau", "Sparse Kendall tau"),
            bars("final_search_performance/mean", "Final search performance"),
            bars("probability_beats_random/probability", "P > R"),
        ],
        "Over training": [
            curve("rank/kendall_tau", "Kendall tau against epochs"),
            curve(f"rank/{own}", f"Super-net {in_words} against epochs"),
            curve("train_loss", "Training loss"),
        ],
        "What it is worth": [
            against(panels.SummaryMetric("baselines/parameters/kendall_tau"), "Super-net against the parameter count"),
            against(panels.SummaryMetric("cost/passes"), "Kendall tau against passes"),
            against(panels.SummaryMetric(own), f"Kendall tau against super-net {in_words}"),
        ],
        "Settings": [panels.ParallelCoordinatesPlot(title="Settings of every run", columns=axes)],
        "Pictures": [panels.MediaBrowser(title="Report", media_keys=[f"{PICTURES}/{name}" for name in _FIGURES])],
    }
    filters = [workspaces.Metric("Group") == study] if study else []
    return workspaces.Workspace(
        entity=entity,
        project=project,
        name=f"Ablation of super-net heuristics{f' in {study}' if study else ''}",
        sections=[workspaces.Section(name=name, panels=found, is_open=True) for name, found in sections.items()],
        runset_settings=workspaces.RunsetSettings(
            filters=filters,
            groupby=[workspaces.Config("ablation.factor"), workspaces.Config("ablation.setting")],
        ),
    )


_FIGURES = (
    "forest",
    "tau-per-setting",
    "scatter",
    "epochs-kendall-tau",
    "search",
    "cost-seconds",
    "settings",
    "misranked",
)


def specification(workspace: Any) -> dict[str, Any]:
    """The workspace as W&B's service would receive it: plain JSON, made without a network."""
    model = workspace._to_model()
    return dict(json.loads(model.model_dump_json(by_alias=True, exclude_none=True)))


def publish_pictures(folder: Path, project: str, entity: str | None, study: str | None = None) -> list[str]:
    """Log the report's pictures as one run of job type ``report``, in the group `study` so that the workspace's filter
    lets it through; returns the keys.

    Raises DashboardError where the folder holds none.
    """
    import wandb

    found = {f"{PICTURES}/{path.stem}": path for path in sorted((folder / "figures").glob("*.png"))}
    if not found:
        raise DashboardError(f"{folder} holds no figures/*.png; make a report first: python -m nas_lightning.report")
    with wandb.init(project=project, entity=entity, group=study, job_type="report", name="report") as run:
        run.log({key: wandb.Image(str(path)) for key, path in found.items()})
    return list(found)


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0, or 2 with one sentence on standard error."""
    parser = argparse.ArgumentParser(prog="python -m nas_lightning.logging.dashboard", description=__doc__)
    parser.add_argument("--entity", required=True, help="W&B user or team")
    parser.add_argument("--project", default="nas-lightning")
    parser.add_argument("--study", help="only runs of this study (W&B group)")
    parser.add_argument("--factor", action="append", default=[], help="config key for an axis; may be repeated")
    parser.add_argument("--quality", default=ACCURACY.name, help="what networks are judged by (default: accuracy)")
    parser.add_argument("--report", type=Path, help="folder of a report whose pictures are logged beside the panels")
    parser.add_argument("--spec", type=Path, help="write the specification to this file and send nothing")
    given = parser.parse_args(arguments)
    try:
        workspace = build(given.entity, given.project, given.study, given.factor, quality=given.quality)
        if given.spec:
            try:
                write_atomically(given.spec, (json.dumps(specification(workspace), indent=2) + "\n").encode())
            except OSError as error:
                raise DashboardError(f"{given.spec} cannot be written ({error.strerror}); name another file") from None
            print(given.spec)
            return 0
        if not has_key():
            raise DashboardError("no W&B key was found: set WANDB_API_KEY, or write the specification with --spec")
        if given.report:
            publish_pictures(given.report, given.project, given.entity, given.study)
        print(workspace.save().url)
    except DashboardError as error:
        print(f"dashboard: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    forgiving_output()
    sys.exit(main())
