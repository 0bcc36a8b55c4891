"""Predictors: from architectures to one number each; the base class, the registry, and those that need no network."""

CHEAP = ("parameters", "macs", "depth", "linear_operation_counts")
"""What stands beside every super-net by default (``evaluation.baselines``)."""
