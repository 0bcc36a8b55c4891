import subprocess
import sys

import pytest

LIGHT = [
    "metrics",
    "summary",
    "uncertainty",
    "comparison",
    "architecture_sets",
    "baselines",
    "fusion",
    "terminal",
]


@pytest.mark.parametrize("package", ["ranking", "report"])
def test_nothing_heavy_is_imported_with_the_modules(package):
    """`--help`, tables and reports must open in milliseconds."""
    names = LIGHT if package == "ranking" else ["study", "tables", "figures", "figure", "scatter", "page", "__main__"]
    heavy = (
        "torch",
        "pytorch_lightning",
        "torchmetrics",
        "sklearn",
        "scipy",
        "altair",
        "vl_convert",
        "pyarrow",
        "wandb",
        "rich",
    )
    modules = ", ".join(f"nas_lightning.{package}.{name}" for name in names)
    code = f"import {modules}, sys; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
