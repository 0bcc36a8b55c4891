"""A recurrent policy over genomes, and the gradient of its expected reward.

Source: Pham et al., Efficient Neural Architecture Search via Parameter Sharing (arXiv 1802.03268), section 2.2; sizes,
temperature and tanh constant as in D-X-Y/AutoDL-Projects (`search_model_enas_utils.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

HIDDEN, LAYERS, TEMPERATURE, BOUND = 32, 2, 5.0, 2.5


class Controller(nn.Module):
    """An LSTM that chooses one gene after another; its choice is embedded as the next input.

    logits = 2.5·tanh(W h / 5), so that no choice's odds against another exceed e⁵. Genes of equal cardinality share
    embedding and output.
    """

    def __init__(self, cardinalities: Sequence[int]) -> None:
        super().__init__()
        self.cardinalities = tuple(int(n) for n in cardinalities)
        sizes = sorted(set(self.cardinalities))
        self.first = nn.Parameter(torch.empty(1, HIDDEN))
        self.cells = nn.LSTM(HIDDEN, HIDDEN, LAYERS)
        self.embeddings = nn.ModuleDict({str(n): nn.Embedding(n, HIDDEN) for n in sizes})
        self.outputs = nn.ModuleDict({str(n): nn.Linear(HIDDEN, n) for n in sizes})
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -0.1, 0.1)

    def forward(
        self, genomes: Tensor | None = None, generator: torch.Generator | None = None, count: int = 1
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Draw `count` genomes, or follow those given [n, genes].

        Returns:
            Genomes int64 [n, genes], their log-probabilities [n], and the entropies of the policy along them [n], nats.
        """
        n = count if genomes is None else len(genomes)
        x, state = self.first.expand(n, HIDDEN), None
        chosen, logs, entropies = [], [], []
        for gene, size in enumerate(self.cardinalities):
            h, state = self.cells(x[None], state)
            log_p = (BOUND * torch.tanh(self.outputs[str(size)](h[0]) / TEMPERATURE)).log_softmax(-1)
            if genomes is None:
                draws = torch.rand(n, 1, generator=generator, dtype=torch.float64)
                below = log_p.detach().double().cpu().exp().cumsum(-1) < draws
                choice = below.sum(-1).clamp_max(size - 1).to(log_p.device)
            else:
                choice = genomes[:, gene]
            chosen.append(choice)
            logs.append(log_p.gather(-1, choice[:, None])[:, 0])
            entropies.append(-(log_p.exp() * log_p).sum(-1))
            x = self.embeddings[str(size)](choice)
        return torch.stack(chosen, 1), torch.stack(logs).sum(0), torch.stack(entropies).sum(0)


def policy_loss(log_probabilities: Tensor, rewards: Tensor, baseline: Tensor | float) -> Tensor:
    """Mean of −ln p·(r − b), whose expected gradient over draws is −∇E[r] for every constant b (Williams 1992).

    Rewards [n] are constants: no gradient passes through them.
    """
    return -(log_probabilities * (rewards - baseline).detach()).mean()
