"""What a network is judged by and how that number is shown: of a `Task`, of a result file, of a table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

SCALES = ("plain", "percent", "perplexity")
LONGEST = 60
"""Characters of a name or a unit."""


@dataclass(frozen=True)
class Quality:
    """The number by which a network is judged, so that larger is better.

    Args:
        name: what tables and figures call it, such as ``accuracy``; an identifier.
        unit: behind the shown number, such as ``%``; empty for none.
        scale: from the number to the one that people read: ``plain`` as it is, ``percent`` (0.93 is shown as 93),
            ``perplexity`` (−4.2 nats are shown as exp 4.2 = 66.7).
        shown_name: what the shown number is called, where it is another one (``perplexity``).
    """

    name: str
    unit: str = ""
    scale: str = "plain"
    shown_name: str = ""

    def __post_init__(self) -> None:
        if self.scale not in SCALES:
            raise ValueError(f"scale={self.scale} of quality {self.name} is unknown; choose one of {', '.join(SCALES)}")

    @property
    def title(self) -> str:
        """The shown number's name in words."""
        return (self.shown_name or self.name).replace("_", " ")

    @property
    def label(self) -> str:
        """Name and unit for an axis or a column: ``accuracy (%)``."""
        return f"{self.title} ({self.unit})" if self.unit else self.title

    @property
    def shown_higher_is_better(self) -> bool:
        """Whether the shown number grows with the quality (not so for perplexity)."""
        return self.scale != "perplexity"

    @property
    def factor(self) -> float:
        """What differences and spreads are multiplied by to be shown; those of a perplexity stay in nats."""
        return 100.0 if self.scale == "percent" else 1.0

    def show(self, value: float) -> float:
        """The number that people read."""
        if self.scale == "perplexity":
            return math.exp(min(-value, 700.0))
        return self.factor * value

    def text(self, value: float | None, digits: int = 2) -> str:
        """The shown number with its unit, ``93.20 %``; other scales than percent with six significant digits."""
        if value is None or math.isnan(value):
            return "not known"
        number = f"{self.show(value):.{digits}f}" if self.scale == "percent" else f"{self.show(value):.6g}"
        return f"{number} {self.unit}".rstrip()

    def mean_text(self, mean: float, std: float | None = None, digits: int = 2) -> str:
        """A mean over several as it is shown, ``93.20 ± 0.12``, without its unit; of a perplexity the mean alone.

        Args:
            mean: of the quality itself, not of the shown number; NaN where it is not known.
            std: its standard deviation; None or NaN where there is none.
            digits: behind the point, of a percentage; a perplexity has two, other numbers four, small ones more.
        """
        if math.isnan(mean):
            return "–"
        small = 0 < abs(mean) < 0.1
        plain = min(9, 3 - math.floor(math.log10(abs(mean)))) if small else 4
        digits = {"percent": digits, "perplexity": 2}.get(self.scale, plain)
        text = f"{self.show(mean):.{digits}f}"
        if std is None or math.isnan(std) or self.scale == "perplexity":
            return text
        return f"{text} ± {self.factor * std:.{digits}f}"

    @property
    def points(self) -> str:
        """The unit of a difference, times `factor`: ``points`` of percent, ``nats`` of a perplexity, else its own."""
        return {"percent": "points", "perplexity": "nats"}.get(self.scale, self.unit)

    def record(self) -> dict[str, Any]:
        """``{"quality": …}`` for a result file; nothing for accuracy, which files of before do not name either."""
        return {} if self == ACCURACY else {"quality": asdict(self)}


ACCURACY = Quality("accuracy", "%", "percent")
"""Of images with classes: the share classified correctly."""

PERPLEXITY = Quality("negative_log_perplexity", scale="perplexity", shown_name="perplexity")
"""Of a text: the mean log probability of the next token in nats; shown is exp of its negative."""

SCORE = Quality("score")
"""Of a table that does not say what its numbers are."""


def quality_of(record: Mapping[str, Any]) -> Quality:
    """The quality that a result file names, `ACCURACY` where it names none or none that can be read.

    Args:
        record: a mapping that may hold ``quality``; what it says may be anybody's: its name becomes part of file names.
    """
    named = record.get("quality")
    if isinstance(named, Mapping) and isinstance(name := named.get("name"), str) and name.isidentifier():
        known = {k: v for k, v in named.items() if k in Quality.__dataclass_fields__ and isinstance(v, str)}
        if known.get("scale", "plain") in SCALES and max(map(len, known.values())) <= LONGEST:
            return Quality(**known)
    return ACCURACY


def items_of(record: Mapping[str, Any]) -> str:
    """What a result counts: ``images`` where it does not say otherwise, of a text ``tokens``.

    Args:
        record: a result that may hold ``items``.

    Returns:
        A word in the plural.
    """
    named = record.get("items")
    return named if isinstance(named, str) and named.isidentifier() and len(named) <= LONGEST else "images"


def scored_on(evaluation: Mapping[str, Any], items: str = "images") -> str:
    """``11900 validation tokens, batch 100, batch norm batch``: what an evaluation read, and how.

    Args:
        evaluation: the entry ``evaluation`` of a result; what it does not say is a question mark, but batch norm, of
            which a space without any has nothing to say.
        items: what is counted (`items_of`).

    Returns:
        The words, without a full stop.
    """
    count, split, batch = (evaluation.get(name, "?") for name in ("n_images", "split", "batch_size"))
    norm = f", batch norm {evaluation['batch_norm']}" if "batch_norm" in evaluation else ""
    return f"{count} {split} {items}, batch {batch}{norm}"


def quality_of_search(objective: Mapping[str, Any]) -> Quality:
    """What the stand-alone truth of a search is, by what its result says of its objective.

    Args:
        objective: the entry ``objective`` of a search's result: it names the quality, or the table's metric as
            ``truth``.

    Returns:
        The quality that is named; a score without a unit where the truth is one of the table's (``test_score``);
        else `ACCURACY`.
    """
    if "quality" not in objective and str(objective.get("truth", "")).endswith("_score"):
        return SCORE
    return quality_of(objective)
