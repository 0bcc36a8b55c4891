"""Batch normalisation whose statistics are chosen at evaluation, and its weight-sharing banks (WSBN)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas_lightning.nets.channels import ChannelCut
from nas_lightning.nets.transfer import brought
from nas_lightning.processes.exchange import gathered

EPSILON = 1e-5
MOMENTUM = 0.1


class BatchNorm(nn.Module):
    """Batch normalisation of [B, C, H, W].

    Training always normalises with the batch; `track` only adds running statistics on the side. At evaluation
    `statistics` chooses: ``batch`` (of the evaluation batch), ``tracked`` (running), ``collect`` (normalise with the
    batch and add its moments to the pool of a recalibration) or ``recalibrated`` (the pooled moments, exact over all
    images collected: mean = Σ n_b·mean_b / N, var = Σ n_b·(var_b + (mean_b − mean)²) / N).
    """

    running_mean: Tensor | None
    running_var: Tensor | None

    def __init__(self, channels: int, affine: bool = True, track: bool = False) -> None:
        super().__init__()
        self.channels = channels
        self.weight = nn.Parameter(torch.ones(channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(channels)) if affine else None
        self.register_buffer("running_mean", torch.zeros(channels) if track else None)
        self.register_buffer("running_var", torch.ones(channels) if track else None)
        self.statistics = "batch"
        self.synchronised = False  # train with the moments of the global batch, not of this rank's part
        self.pool: list[tuple[int, Tensor, Tensor]] | None = None  # images, mean [width], variance [width] of a batch

    def affine(self, cut: ChannelCut | None = None) -> tuple[Tensor | None, Tensor | None]:
        """Scale and shift, [width] each, or None."""
        if self.weight is None or self.bias is None or cut is None:
            return self.weight, self.bias
        return cut.take(self.weight), cut.take(self.bias)

    def tracked(self, cut: ChannelCut | None = None) -> tuple[Tensor, Tensor]:
        """Running mean and variance, [width] each. Raises ValueError where none were kept."""
        if self.running_mean is None or self.running_var is None:
            raise ValueError(
                "this network kept no running statistics (track_running_stats=false); evaluate it with "
                "bn_evaluation=batch or recalibrate"
            )
        if cut is None:
            return self.running_mean, self.running_var
        return cut.take(self.running_mean), cut.take(self.running_var)

    def track(self, x: Tensor, cut: ChannelCut | None = None) -> None:
        """Move the running statistics towards the batch's, PyTorch's convention: unbiased variance, momentum 0.1."""
        with torch.no_grad():
            variance, mean = torch.var_mean(x.float(), dim=(0, 2, 3), correction=1)
            self.move((mean, variance), cut)

    def move(self, moments: tuple[Tensor, Tensor], cut: ChannelCut | None) -> None:
        """Move the running statistics towards a mean and an unbiased variance, [width] each."""
        for buffer, value in zip(self.tracked(), moments, strict=True):
            if cut is None:
                buffer.lerp_(value.to(buffer.dtype), MOMENTUM)
            else:
                cut.put(buffer, cut.take(buffer).lerp(value.to(buffer.dtype), MOMENTUM))

    def forward(self, x: Tensor, cut: ChannelCut | None = None) -> Tensor:
        weight, bias = self.affine(cut)
        if not self.training:
            return self.evaluate(x, weight, bias, cut)
        if self.synchronised:
            return self.train_together(x, weight, bias, cut)
        if self.running_mean is None:
            return F.batch_norm(x, None, None, weight=weight, bias=bias, training=True, eps=EPSILON)
        mean, variance = self.tracked(cut)
        out = F.batch_norm(x, mean, variance, weight=weight, bias=bias, training=True, momentum=MOMENTUM, eps=EPSILON)
        if cut is not None and not cut.is_view:  # `mean` and `variance` are copies that were moved
            cut.put(self.running_mean, mean)
            cut.put(self.running_var, variance)  # type: ignore[arg-type]
        return out

    def train_together(self, x: Tensor, weight: Tensor | None, bias: Tensor | None, cut: ChannelCut | None) -> Tensor:
        """Normalise by the moments over all ranks' x, whose shapes are equal; gradients pass through the exchange.

        With mean_r and var_r of rank r: mean = Σ mean_r / W, var = Σ (var_r + (mean_r − mean)²) / W, without the
        cancellation of the difference of squares.
        """
        moments = gathered(
            torch.stack(torch.var_mean(x.float() if x.dtype.itemsize < 4 else x, (0, 2, 3), correction=0))
        )
        variances, means = moments[:, 0], moments[:, 1]  # [W, width] each
        mean = means.mean(0)
        variance = variances.mean(0) + (means - mean).square().mean(0)
        if self.running_mean is not None:
            count = len(moments) * x.numel() // x.shape[1]
            self.move((mean.detach(), variance.detach() * (count / (count - 1))), cut)
        scale = torch.rsqrt(variance + EPSILON)
        if weight is not None and bias is not None:
            scale = scale * weight
            shift = bias - mean * scale
        else:
            shift = -mean * scale
        return x * scale.to(x.dtype)[:, None, None] + shift.to(x.dtype)[:, None, None]

    def evaluate(self, x: Tensor, weight: Tensor | None, bias: Tensor | None, cut: ChannelCut | None) -> Tensor:
        """Normalise by the statistics chosen for evaluation."""
        if self.statistics == "tracked":
            mean, variance = self.tracked(cut)
            return F.batch_norm(x, mean, variance, weight=weight, bias=bias, training=False, eps=EPSILON)
        if self.statistics == "recalibrated":
            mean, variance = self.recalibrated()
            return F.batch_norm(x, mean, variance, weight=weight, bias=bias, training=False, eps=EPSILON)
        if self.statistics == "collect":
            return self.collect(x, weight, bias)
        return F.batch_norm(x, None, None, weight=weight, bias=bias, training=True, eps=EPSILON)

    def collect(self, x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
        """Normalise one calibration batch by its own moments and add them to the pool.

        The normalisation itself reports them, as running statistics of momentum 1: no second pass over x.
        """
        dtype = weight.dtype if weight is not None else torch.promote_types(x.dtype, torch.float32)
        mean, variance = torch.zeros(2, x.shape[1], dtype=dtype, device=x.device)
        out = F.batch_norm(x, mean, variance, weight=weight, bias=bias, training=True, momentum=1.0, eps=EPSILON)
        count = x.numel() // x.shape[1]
        variance *= (count - 1) / count  # running variances are unbiased, moments are not
        if self.pool is None:
            self.pool = []
        self.pool.append((x.shape[0], mean, variance))
        return out

    def recalibrated(self) -> tuple[Tensor, Tensor]:
        """Pooled mean and variance, [width] each, in the dtype of the layer; pooled once, whoever asks how often."""
        if not self.pool:
            raise ValueError(
                "no calibration batch reached this batch-norm layer; collect statistics for the same "
                "architecture before scoring it with recalibrated ones"
            )
        if len(self.pool) > 1:
            counts, means, variances = zip(*self.pool, strict=True)
            total = sum(counts)
            shares = brought([n / total for n in counts], torch.float64, means[0].device)[:, None]
            each = torch.stack(means).double()  # [batch, width]
            mean = (shares * each).sum(0)
            variance = (shares * (torch.stack(variances).double() + (each - mean).square())).sum(0)
            self.pool = [(total, mean.to(means[0].dtype), variance.to(means[0].dtype))]
        _, mean, variance = self.pool[0]
        return mean, variance

    def extra_repr(self) -> str:
        return f"{self.channels}, affine={self.weight is not None}, track={self.running_mean is not None}"


class WeightSharingBatchNorm(nn.Module):
    """One batch-norm per pattern of incoming edges of a vertex (Luo et al., NAO; Yu21).

    ``on``: node i keeps 2^i − 1 banks, one per non-empty set of the predecessors 0 … i−1.
    ``per_input``: i banks, one per predecessor; since NAS-Bench-101 sums the inputs before the operation, the vertex
    normalises once, with the mean of its active banks' affine parameters (and tracked statistics).
    """

    def __init__(self, channels: int, n_inputs: int, mode: str, affine: bool, track: bool) -> None:
        super().__init__()
        self.mode = mode
        n_banks = 2**n_inputs - 1 if mode == "on" else n_inputs
        self.banks = nn.ModuleList([BatchNorm(channels, affine, track) for _ in range(n_banks)])

    def active(self, pattern: int) -> list[BatchNorm]:
        """The banks of `pattern`, bit j set where predecessor j feeds the vertex."""
        if self.mode == "on":
            return [self.banks[pattern - 1]]  # type: ignore[list-item]
        return [bank for j, bank in enumerate(self.banks) if pattern >> j & 1]  # type: ignore[misc]

    def affine(self, pattern: int, cut: ChannelCut | None = None) -> tuple[Tensor | None, Tensor | None]:
        """Scale and shift of the pattern, [width] each, or None."""
        weights, biases = zip(*(bank.affine(cut) for bank in self.active(pattern)), strict=True)
        if weights[0] is None:
            return None, None
        return torch.stack(weights).mean(0), torch.stack(biases).mean(0)

    def tracked(self, pattern: int, cut: ChannelCut | None = None) -> tuple[Tensor, Tensor]:
        """Running statistics of the pattern: the mean of its active banks."""
        pairs = [bank.tracked(cut) for bank in self.active(pattern)]
        return torch.stack([mean for mean, _ in pairs]).mean(0), torch.stack([var for _, var in pairs]).mean(0)

    def forward(self, x: Tensor, pattern: int, cut: ChannelCut | None = None) -> Tensor:
        active = self.active(pattern)
        if len(active) == 1:
            return active[0](x, cut)
        weight, bias = self.affine(pattern, cut)
        if self.training:
            for bank in active:
                if bank.running_mean is not None:
                    bank.track(x, cut)
            return F.batch_norm(x, None, None, weight=weight, bias=bias, training=True, eps=EPSILON)
        if active[0].statistics == "tracked":
            mean, variance = self.tracked(pattern, cut)
            return F.batch_norm(x, mean, variance, weight=weight, bias=bias, training=False, eps=EPSILON)
        return active[0].evaluate(x, weight, bias, cut)


def batch_norms(module: nn.Module) -> Iterator[BatchNorm]:
    """Every BatchNorm below `module`."""
    return (layer for layer in module.modules() if isinstance(layer, BatchNorm))


def running_statistics(module: nn.Module) -> list[Tensor]:
    """Every running mean and variance below `module`."""
    return [t for layer in batch_norms(module) for t in (layer.running_mean, layer.running_var) if t is not None]


def synchronise(module: nn.Module) -> None:
    """Let every batch-norm below `module` train with the moments of the global batch."""
    for layer in batch_norms(module):
        layer.synchronised = True


def set_statistics(module: nn.Module | Sequence[BatchNorm], statistics: str) -> None:
    """Let every batch-norm below `module`, or in a list, evaluate by `statistics`; ``collect`` empties the pools."""
    for layer in batch_norms(module) if isinstance(module, nn.Module) else module:
        layer.statistics = statistics
        if statistics == "collect":
            layer.pool = None


@contextmanager
def preserved_statistics(module: nn.Module) -> Iterator[list[BatchNorm]]:
    """Gives all batch-norms; restores their evaluation statistics at the end of the block and drops the pools."""
    before = [(layer, layer.statistics) for layer in batch_norms(module)]
    try:
        yield [layer for layer, _ in before]
    finally:
        for layer, statistics in before:
            layer.statistics = statistics
            layer.pool = None
