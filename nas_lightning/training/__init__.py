"""How a plan's weights are trained."""
