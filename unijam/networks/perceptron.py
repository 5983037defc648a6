"""The spherical perceptron: Δ_μ = κ − y_μ ξ_μ·w/‖w‖, a spherical network without hidden layers or biases."""

import numpy as np

from ..support.memory import require_matrices
from ..support.validation import Count, Finite, Positive, Seed, checked, require
from .fully_connected import FullyConnected
from .layered.validity import Device


class Perceptron:
    """A constructor of spherical networks of depth 0.

    References
    ----------
    S. Franz, G. Parisi, J. Phys. A 49, 145001 (2016).

    Examples
    --------
    >>> import unijam as uj
    >>> uj.Perceptron.random(n=50, load=3.0).inputs.shape
    torch.Size([150, 50])
    """

    @staticmethod
    @checked
    def random(
        n: Count = 200, load: Positive = 5.0, margin: Finite = -0.3, seed: Seed = 0, device: Device = "cpu"
    ) -> FullyConnected:
        """P = load × n Gaussian patterns ξ_μ of unit variance in n dimensions, with balanced labels ±1.

        `inputs`, (P, n), are ξ/√n, ‖w‖ is kept at √n, and the initial w, (n,), is Gaussian.

        Parameters
        ----------
        n : int
            Number of weights.
        load : float
            P/n; P is rounded and must be at least 1.
        margin : float
            κ.
        seed : int
            Seed of patterns and initial weights.
        device : "cpu" or "cuda"
            The device of all tensors.

        Returns
        -------
        FullyConnected

        Raises
        ------
        ValueError
            Where a value is out of range, or the device is not there.
        """
        n_data = round(load * n)
        require(n_data >= 1, "load", load, f"at least {0.5 / n:.3g} (half a pattern) for n = {n}")
        rng = np.random.default_rng(seed)
        require_matrices([(3 * n_data, n)], f"{n_data} random patterns of {n} dimensions")
        inputs = rng.standard_normal((n_data, n)) / np.sqrt(n)
        labels = np.where(np.arange(n_data) % 2, -1.0, 1.0)
        network = FullyConnected.from_data(inputs, labels, depth=0, margin=margin, bias=False, device=device)
        w = rng.standard_normal(n)
        return network.at(initial=w * np.sqrt(n) / np.linalg.norm(w), radii=[np.sqrt(n)])
