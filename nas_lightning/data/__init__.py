"""Image data sets as tensors in memory, with their recorded splits."""
