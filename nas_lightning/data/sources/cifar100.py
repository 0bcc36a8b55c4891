"""CIFAR-100."""

from __future__ import annotations

from nas_lightning.data.sources.cifar10 import Cifar10


class Cifar100(Cifar10):
    """CIFAR-100 (Krizhevsky, 2009): as CIFAR-10, with 100 classes."""

    name = "cifar100"
    num_classes = 100
    mean, std = (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)
