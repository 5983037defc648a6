"""How well the outputs of a network are known."""

import torch
from torch import Tensor

ROUNDING = 4.0  # rounding error of f in units of eps × max(|κ|, typical |f|)


def rounding(outputs: Tensor, margin: float) -> Tensor:
    """The rounding error of one Δ = κ ∓ f where f = outputs, a 0-dimensional tensor."""
    typical = outputs.square().mean().sqrt()
    return ROUNDING * torch.finfo(outputs.dtype).eps * typical.clamp_min(abs(margin))
