"""One search algorithm a file; `nas_lightning.search.algorithm.make_algorithm` builds them by name."""
