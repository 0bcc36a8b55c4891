"""What a run tells its loggers."""

from nas_lightning.report.scatter import write_scatter

RESULT = {
    "evaluation": {"score": "accuracy"},
    "metrics": {
        "accuracy": {"kendall_tau": 0.5, "supernet_accuracy": 0.7, "kendall_tau_interval": {"low": 0.4, "high": 0.6}},
        "negative_cross_entropy": {"kendall_tau": 0.6, "spearman": None},
    },
    "baselines": {"parameters": {"kendall_tau": 0.55, "note": "no training"}},
    "ceiling": {"noise": {"not_available": "no seeds"}},
    "cost": {"epochs": 3, "steps": 27, "passes": 81},
}


def use(logger, tmp_path):
    picture = write_scatter(tmp_path / "picture.png", [0.1, 0.2], [0.5, 0.6], ["a", "b"], title="digits", label="score")
    logger.log({"train_loss": 1.5}, step=9)
    logger.log({"train_loss": 1.0, "rank/kendall_tau": 0.4}, step=18)
    logger.ranking("random2_seed0", ["|a|", "|b|"], [0.1, 0.2], [0.5, float("nan")], picture)
    logger.finish(RESULT)
