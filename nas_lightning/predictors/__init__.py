"""Predictors: from architectures to one number each; the base class, the registry, and those that need no network."""
