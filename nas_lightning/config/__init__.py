"""What can be typed, with its types and its error messages."""
