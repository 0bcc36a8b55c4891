"""Stand-alone performance tables: one columnar format, opened by memory map, queried by any isomorphic form."""

from nas_lightning.benchmarks.benchmark import Benchmark
from nas_lightning.benchmarks.column import Column
from nas_lightning.benchmarks.errors import BenchmarkError
from nas_lightning.benchmarks.row import Row
from nas_lightning.benchmarks.writer import write_table

__all__ = ["Benchmark", "BenchmarkError", "Column", "Row", "write_table"]
