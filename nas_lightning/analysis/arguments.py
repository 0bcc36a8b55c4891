"""Numbers of the command line with their ranges, so that what cannot be computed is refused before anything is."""

from __future__ import annotations

import argparse
from collections.abc import Callable


def at_least(least: int) -> Callable[[str], int]:
    """A whole number of at least `least`, as a ``type`` of argparse.

    Args:
        least: the smallest that is taken.

    Returns:
        What reads it; argparse says the range where it is another.
    """

    def whole(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if not least <= number < 2**63:
            raise argparse.ArgumentTypeError(f"{text[:40]!r} is out of range; give a whole number from {least} on")
        return number

    return whole
