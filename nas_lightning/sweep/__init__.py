"""Sweeps of train.py and search.py: which jobs there are, what they cost, which are done; see docs/SWEEPS.md."""
