"""What an evaluation writes: ranking.parquet, diagnostics.parquet, the picture."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nas_lightning.report.scatter import score_label, write_scatter
from nas_lightning.runs.files import write_atomically
from nas_lightning.scoring.evaluation import Evaluation
from nas_lightning.scoring.latency import measured_latency
from nas_lightning.scoring.score import Scores


def column_of(evaluation: Evaluation, name: str) -> str:
    """The column of ranking.parquet that holds a predictor of one super-net.

    Args:
        evaluation: whose subjects, table and choice of predictors count.
        name: of a predictor.

    Returns:
        ``supernet_<name>`` where it depends on the shared weights, else the name; ``fusion`` for any fusion.
    """
    if name.startswith("fusion("):
        return "fusion"
    return f"supernet_{name}" if evaluation.scorer.choice.shared(name) else name


def write_ranking(path: Path, evaluation: Evaluation, predictions: Mapping[str, np.ndarray], gap_of: Any) -> None:
    """ranking.parquet: one row per architecture, in the order of the set.

    Args:
        path: where it is written, atomically.
        evaluation: its subjects, truth and baselines.
        predictions: float64 [n] by column.
        gap_of: qualities with shared weights [n], such as accuracies as fractions, for the column `optimization_gap`:
            stand-alone minus super-net (Xie et al., Weight-Sharing NAS: A Battle to Shrink the Optimization Gap,
            section 3),
            NaN where the table lacks the architecture. Data and epochs of the two differ as the table's recipe does.
    """
    subjects = evaluation.subjects
    params, macs = evaluation.scorer.context().costs()
    seeds = subjects.seed_truth()
    beside = {b.name: b.draws[0] for b in evaluation.baselines if b.name not in ("parameters", "macs")}
    columns = {
        "architecture": subjects.names,
        "key": [subjects.space.key(a) for a in subjects.architectures],
        **predictions,
        f"standalone_{evaluation.quality.name}": subjects.truth,
        "standalone_seed_accuracies": [None] * len(subjects) if seeds is None else seeds.tolist(),
        "optimization_gap": subjects.truth - gap_of,
        "params": params,
        "macs": macs,
        **{name: scores for name, scores in beside.items() if name not in predictions},
    }
    write_atomically(path, parquet_bytes(columns))


def write_diagnostics(path: Path, evaluation: Evaluation, scores: Scores, network: Any) -> None:
    """diagnostics.parquet: what each architecture costs on this machine, and its optimization gap.

    Apart from ranking.parquet, since latencies differ from run to run.

    Args:
        path: where it is written, atomically.
        evaluation: whose subjects, table and choice of predictors count.
        scores: float64 [n] by name.
        network: the super-net that exports the networks whose latency is measured.
    """
    subjects, context = evaluation.subjects, evaluation.scorer.context()
    params, macs = context.costs()
    columns = {
        "architecture": subjects.names,
        "params": params,
        "macs": macs,
        "latency_ms": measured_latency(network, subjects.architectures, context.image_size),
        "optimization_gap": subjects.truth - scores[evaluation.quality.name],
    }
    write_atomically(path, parquet_bytes(columns))


def draw(path: Path, evaluation: Evaluation, name: str, values: np.ndarray) -> Path:
    """The picture of one predictor against stand-alone accuracy; −inf is drawn at the lowest finite score.

    Args:
        path: of the picture; its suffix says the format.
        evaluation: whose subjects, table and choice of predictors count.
        name: of a predictor.
        values: what is drawn against the truth, float64 [n].

    Returns:
        Where it was written.
    """
    subjects, label = evaluation.subjects, score_label(name, evaluation.quality)
    if not evaluation.scorer.choice.shared(name) and "(" not in name:
        label = name.replace("_", " ")
    finite = values[np.isfinite(values)]
    shown = np.where(np.isneginf(values), finite.min() if len(finite) else 0.0, values)
    title = f"{subjects.space.name}, {evaluation.scorer.data.name}"
    return write_scatter(
        path,
        shown,
        subjects.truth,
        subjects.names,
        title=title,
        label=label,
        top_k=evaluation.k,
        quality=evaluation.quality,
    )


def parquet_bytes(columns: dict[str, Any]) -> bytes:
    """A Parquet file of these columns.

    Args:
        columns: arrays or lists of one length by name.

    Returns:
        The whole file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table(columns)
    seeds = table.schema.get_field_index("standalone_seed_accuracies")
    if seeds >= 0:  # all null where the truth keeps no seeds: the type stays the same
        table = table.set_column(seeds, "standalone_seed_accuracies", table[seeds].cast(pa.list_(pa.float64())))
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()
