"""A heuristic of the tests: one rank raises an error, or kills itself, in the third step."""

import os
import signal
import time
from pathlib import Path
from typing import ClassVar

from nas_lightning.heuristic import Heuristic


class DyingRank(Heuristic):
    factor: ClassVar[str] = "dies"
    fields: ClassVar[tuple[str, ...]] = ()

    def __init__(self, rank: int = 1, how: str = "kill") -> None:
        super().__init__()
        self.rank, self.how = rank, how

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        if trainer.global_step == 3 and trainer.global_rank == self.rank:
            Path(trainer.default_root_dir, "died").write_text(str(time.time()))
            if self.how == "raise":
                raise ArithmeticError(f"rank {self.rank} has enough")
            os.kill(os.getpid(), signal.SIGKILL)
