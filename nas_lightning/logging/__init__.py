"""Views of a run's numbers: ``logger=none|csv|tensorboard|wandb``. The run folder's own files stay the source of truth.

`open_logger` gives one object with the same few calls for all of them; whatever happens inside its ``with`` block, it
is closed at the end, so that the next job of a sweep starts a run of its own.
"""

from nas_lightning.logging.facts import RunFacts
from nas_lightning.logging.loggers import LOGGERS, RunLogger, open_logger

__all__ = ["LOGGERS", "RunFacts", "RunLogger", "open_logger"]
