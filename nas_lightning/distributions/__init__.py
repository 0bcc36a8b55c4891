"""What learned distributions over paths have in common: images of their own, an optimizer, state, what they derive."""
