"""LoRA (Hu et al. 2021): what both trainings put on the linear layers of a frozen model."""

from __future__ import annotations

import torch
from torch import nn


class LowRank(nn.Module):
    """A frozen linear layer with a trained update of low rank.

    `spread` is the standard deviation that the first factor, (rank, inputs), starts with;
    the second, (outputs, rank), starts from nothing. Their product counts `scale` times.
    """

    def __init__(self, linear: nn.Linear, rank: int, *, spread: float, scale: float) -> None:
        super().__init__()
        self.linear = linear
        self.scale = scale
        self.down = nn.Parameter(torch.randn(rank, linear.in_features) * spread)
        self.up = nn.Parameter(torch.zeros(linear.out_features, rank))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply both; any shape ending in the input's size."""
        low = (x @ self.down.T.to(x.dtype)) @ self.up.T.to(x.dtype)
        return self.linear(x) + low * self.scale
