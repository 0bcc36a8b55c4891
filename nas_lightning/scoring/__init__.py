"""What sub-nets are worth with shared weights."""
