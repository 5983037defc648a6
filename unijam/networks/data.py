"""Random data and initial weights of networks, from a seed; the same on every device."""

import numpy as np


def random_data(n_data: int, dimension: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian inputs (P, d), centred, then put on the sphere of radius √d; balanced labels ±1 (P,)."""
    inputs = rng.standard_normal((n_data, dimension))
    inputs -= inputs.mean(axis=0)
    inputs *= np.sqrt(dimension) / np.linalg.norm(inputs, axis=1, keepdims=True)
    return inputs, rng.permutation(np.where(np.arange(n_data) % 2, -1.0, 1.0))


def orthogonal(rows: int, columns: int, rng: np.random.Generator) -> np.ndarray:
    """A random matrix of orthonormal rows or columns (whichever are fewer), uniform under rotations."""
    q, r = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))
    q *= np.sign(np.diag(r))
    return q if rows >= columns else q.T


def initial_weights(shapes: tuple[tuple[int, int], ...], bias: bool, rng: np.random.Generator) -> np.ndarray:
    """Orthogonal W_l of gain 1 and zero biases: θ_l = [W_l|b_l] of these shapes, flat."""
    layers = [np.pad(orthogonal(i, j - bias, rng), ((0, 0), (0, int(bias)))) for i, j in shapes]
    return np.concatenate([theta.ravel() for theta in layers])
