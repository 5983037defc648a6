"""Points at which tests of networks look."""

import torch


def moved(system, noise=0.3, seed=1):
    """The start, and a random step."""
    random = torch.Generator().manual_seed(seed)
    step = torch.randn(system.n_dof, generator=random, dtype=torch.float64)
    return system.initial + noise * step.to(system.initial)
