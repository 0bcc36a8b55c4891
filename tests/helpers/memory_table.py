"""A benchmark table in memory: what architecture sets and baselines ask of one."""

import numpy as np


class MemoryTable:
    def __init__(self, space, archs, accuracies=None):
        self.space, self._space, self._archs = space.name, space, list(archs)
        values = np.linspace(0.1, 0.9, len(self._archs)) if accuracies is None else accuracies
        self._accuracy = {space.key(a): float(v) for a, v in zip(self._archs, values, strict=True)}

    def architectures(self):
        return list(self._archs)

    def has(self, arch):
        return self._space.key(arch) in self._accuracy

    def accuracies(self, archs):
        return np.array([self._accuracy.get(self._space.key(a), np.nan) for a in archs])
