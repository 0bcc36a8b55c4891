"""HW-NAS-Bench's pickle (Li et al., arXiv 2103.10584): latency and energy of NAS-Bench-201's networks on six devices.

``{"nasbench201": {data set: {"edgegpu_latency": [15,625 numbers], …, "config": […]}}, "fbnet": …}``; FBNet's part, a
look-up table of layers of a space that is not here, is passed over.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from nas_lightning.benchmarks.column import Column
from nas_lightning.benchmarks.convert import restricted
from nas_lightning.benchmarks.errors import BenchmarkError
from nas_lightning.benchmarks.writer import dataset_name

METRICS = (
    "edgegpu_latency", "edgegpu_energy", "raspi4_latency", "edgetpu_latency", "pixel3_latency", "eyeriss_latency",
    "eyeriss_energy", "eyeriss_arithmetic_intensity", "fpga_latency", "fpga_energy",
)  # fmt: skip
_UNITS = {"latency": "_ms", "energy": "_mj"}


def read(path: Path) -> tuple[dict[str, Any], list[Column]]:
    """Codes of NAS-Bench-201 and columns of every data set; a latency of 0 or less (edgetpu), a device that cannot run
    the network, is NaN. Raises BenchmarkError.
    """
    from nas_lightning.spaces.nasbench201 import official_order

    data = restricted.load(path.read_bytes(), path.name)
    columns = []
    try:
        for dataset, measured in data["nasbench201"].items():
            for metric in METRICS:
                values = np.array([float(value) for value in measured[metric]], np.float64)
                if len(values) != 15625:
                    raise BenchmarkError(f"{metric} of {dataset} in {path.name} has {len(values)} rows, not 15,625")
                if metric.endswith("_latency"):
                    values = np.where(values > 0, values, np.nan)
                quantity = metric + _UNITS.get(metric.rpartition("_")[2], "")
                columns.append(Column(values, quantity, dataset_name(dataset)))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, BenchmarkError):
            raise
        raise BenchmarkError(
            f"{path.name} is no HW-NAS-Bench pickle ({type(error).__name__}: {str(error)[:80]}); give the official file"
        ) from None
    return {"code": official_order().astype(np.int16)}, columns
