"""The one error of this room."""


class BenchmarkError(ValueError):
    """A table that is missing, damaged, of another kind, or asked for what it does not hold; one sentence each."""
