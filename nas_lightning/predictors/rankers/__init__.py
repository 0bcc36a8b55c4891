"""One learned ranker a file; `nas_lightning.predictors.ranker.make_ranker` builds them by name."""
