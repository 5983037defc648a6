"""How large a network may be to be held in matrices, and how well its outputs are known."""

import math

import torch
from torch import Tensor

DENSE = 10_000  # degrees of freedom up to which J and H are matrices
ROUNDING = 4.0  # rounding error of f in units of eps × max(|κ|, typical |f|)


def rounding(outputs: Tensor, margin: float, times: float = 1.0) -> Tensor:
    """So many times the rounding error of one Δ = κ ∓ f where f = outputs (…, outputs, P): a tensor (…)."""
    unit = times * ROUNDING * torch.finfo(outputs.dtype).eps
    size = torch.linalg.vector_norm(outputs, dim=(-2, -1))
    errors: Tensor = (size * (unit / math.sqrt(math.prod(outputs.shape[-2:])))).clamp_min(unit * abs(margin))
    return errors
