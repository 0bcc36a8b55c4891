"""A search space of one's own: three layers with three operations each."""
