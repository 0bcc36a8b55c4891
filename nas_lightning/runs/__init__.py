"""A run's folder: its name, lock and files, and reading it back; free of torch."""
