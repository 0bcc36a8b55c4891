"""The 14 super-net training heuristics, one toggleable Lightning callback each."""
