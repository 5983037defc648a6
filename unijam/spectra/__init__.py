"""Spectra: the Hessian's decomposition, densities of states, theory curves."""

from .decomposition import HessianDecomposition, decompose_hessian
from .density import DensityOfStates, density_of_states, missing_modes

__all__ = [
    "DensityOfStates",
    "HessianDecomposition",
    "decompose_hessian",
    "density_of_states",
    "missing_modes",
]
