"""Path tournaments: architectures of many parameters are trained more often than those of few."""

from __future__ import annotations

from nas_lightning.heuristic import Heuristic


class PathTournament(Heuristic):
    """Every random path is the one of most parameters among `draws` draws of the sampling method.

    Mechanism: uniform paths train an operation in the context of average neighbours; those with many convolutions are
    rare, converge last, and a super-net under-rates them. With k draws the largest of them is trained, so that the
    density of a path of size quantile q is k·q^(k−1).

    Source: the best-up sampling of Wang et al., AttentiveNAS (arXiv 2011.09011), section 3, with the parameter count in
    place of a predicted accuracy: no accuracy is looked at.
    Fires: at every training step. Cost: counting the parameters of the draws, below a millisecond a step.
    Does not: change which architectures are evaluated, or the largest and smallest path of the sandwich rule.
    Applies to: all spaces; not with sampling=fairnas, whose paths come from one draw.
    """

    factor = "path_tournament"
    fields = ("protocol.tournament",)
    shares_weights = True
    changes_draws = True

    def __init__(self, draws: int | None = None) -> None:
        super().__init__(tournament=draws)
