"""FC-Net: two-layer networks on four regression tasks, architecture and training jointly, 62,208 configurations.

Klein, Hutter, "Tabular Benchmarks for Joint Architecture and Hyperparameter Optimization", arXiv 1905.04970, table 1.
"""

from __future__ import annotations

from typing import ClassVar

from nas_lightning.spaces.hyperparameters import Configuration, HyperparameterSpace, Parameter


class FCNetConfiguration(Configuration):
    """Activations, batch size, dropouts, learning rate and its schedule, units of the two hidden layers."""

    __slots__ = ()
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter("activation_fn_1", ("relu", "tanh")),
        Parameter("activation_fn_2", ("relu", "tanh")),
        Parameter("batch_size", (8, 16, 32, 64)),
        Parameter("dropout_1", (0.0, 0.3, 0.6)),
        Parameter("dropout_2", (0.0, 0.3, 0.6)),
        Parameter("init_lr", (0.0005, 0.001, 0.005, 0.01, 0.05, 0.1)),
        Parameter("lr_schedule", ("const", "cosine")),
        Parameter("n_units_1", (16, 32, 64, 128, 256, 512)),
        Parameter("n_units_2", (16, 32, 64, 128, 256, 512)),
    )


class FCNetSpace(HyperparameterSpace[FCNetConfiguration]):
    """6·6 units, 3·3 dropouts, 2·2 activations, 6 learning rates, 2 schedules and 4 batch sizes."""

    name: ClassVar[str] = "fcnet"
    architecture_type: ClassVar[type] = FCNetConfiguration
