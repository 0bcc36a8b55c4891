"""Several processes as one run: who starts them, how they meet, what they exchange, how they end."""
