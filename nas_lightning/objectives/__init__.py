"""What a search measures with torch."""
