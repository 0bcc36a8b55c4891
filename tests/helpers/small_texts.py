"""A text of some 300 characters, and the plans by which a tiny recurrent super-net learns it."""

from pathlib import Path

from nas_lightning.data.text.files import TextFiles
from nas_lightning.plan import Plan
from nas_lightning.training.module import SuperNetModule

PLAN = Plan().edited(
    {
        "mapping.channels": 6,
        "mapping.layers": 1,
        "protocol.batch_size": 4,
        "protocol.learning_rate": 2.0,
        "protocol.learning_rate_min": 0.0,
        "protocol.schedule": "constant",
        "protocol.momentum": 0.0,
        "protocol.weight_decay": 1e-3,
        "protocol.gradient_clip": 0.1,
        "protocol.slowness": 0.5,
        "protocol.epochs": 2,
        "protocol.train_portion": 1.0,
    }
)
"""Steps that a test can follow by hand."""
DROPPING = PLAN.edited(
    {f"mapping.{rate}_dropout": 0.3 for rate in ("word", "input", "cell", "hidden", "output")}
    | {"mapping.global_dropout": 0.2}
)
"""Everything that a step on a text does."""


def write(path: Path, characters: int = 330) -> Path:
    """A text of one's own, of a few letters in an order that can be learned."""
    path.write_text("".join("abcde"[i * i % 5] for i in range(characters)))
    return path


def data_at(path: Path, plan: Plan = PLAN) -> TextFiles:
    """The text by characters, in as many streams as the plan's batches have: two a rank of two."""
    data = TextFiles(path=str(path), unit="characters", chunk=7, short_chunks=0.2)
    data.batch_size = plan.protocol.batch_size
    return data


def module_at(path: Path, plan: Plan = PLAN) -> SuperNetModule:
    """A super-net with fresh weights for that text."""
    return SuperNetModule("rnn_ptb", plan, data_at(path).num_outputs, 1, 0, task=TextFiles)
