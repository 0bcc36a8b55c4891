"""What a space and its tables are like: landscapes, learning curves, niches, fronts. Free of torch.

Every part is a module to import and a sub-command of ``python -m nas_lightning.analysis``; see docs/ANALYSIS.md.
"""
