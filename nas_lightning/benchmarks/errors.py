"""The one error of this room."""

from nas_lightning.errors import UserError


class BenchmarkError(UserError):
    """A table that is missing, damaged, of another kind, or asked for what it does not hold; one sentence each."""
