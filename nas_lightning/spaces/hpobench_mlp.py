"""HPOBench's tabular multi-layer perceptrons: 30,000 configurations on eight OpenML tasks.

Eggensperger et al., "HPOBench: A Collection of Reproducible Multi-Fidelity Benchmark Problems for HPO", arXiv
2109.06716, appendix; the grid is that of the table.
"""

from __future__ import annotations

from typing import ClassVar

from nas_lightning.spaces.hyperparameters import Configuration, HyperparameterSpace, Parameter


class MLPConfiguration(Configuration):
    """Weight decay, batch size, number and width of the hidden layers, initial learning rate."""

    __slots__ = ()
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter(
            "alpha",
            (
                1e-08,
                7.742637e-08,
                5.994842e-07,
                4.641589e-06,
                3.5938137e-05,
                0.00027825593,
                0.0021544348,
                0.016681006,
                0.12915497,
                1.0,
            ),
        ),
        Parameter("batch_size", (4, 6, 10, 16, 25, 40, 64, 101, 161, 256)),
        Parameter("depth", (1, 2, 3)),
        Parameter(
            "learning_rate_init",
            (
                1e-05,
                3.5938137e-05,
                0.00012915497,
                0.0004641589,
                0.0016681006,
                0.0059948424,
                0.021544347,
                0.07742637,
                0.27825594,
                1.0,
            ),
        ),
        Parameter("width", (16, 25, 40, 64, 101, 161, 256, 406, 645, 1024)),
    )


class HPOBenchMLPSpace(HyperparameterSpace[MLPConfiguration]):
    """10 weight decays, 10 batch sizes, 3 depths, 10 learning rates and 10 widths."""

    name: ClassVar[str] = "hpobench_mlp"
    architecture_type: ClassVar[type] = MLPConfiguration

    def depth(self, arch: MLPConfiguration) -> int:
        """Hidden layers."""
        return int(arch.values["depth"])
