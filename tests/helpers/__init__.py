"""What several test files share, one subject a file; imported as ``tests.helpers.<name>``."""
