"""Speed benchmarks; `python -m perf` runs the paired ones. No test asserts a time."""
