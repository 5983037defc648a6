"""Spectra: the Hessian's decomposition, vibrational modes, densities of states, theory curves."""

from .decomposition import HessianDecomposition, decompose_hessian
from .density import DensityOfStates, density_of_states, missing_modes
from .modes import VibrationalModes, vibrational_modes

__all__ = [
    "DensityOfStates",
    "HessianDecomposition",
    "VibrationalModes",
    "decompose_hessian",
    "density_of_states",
    "missing_modes",
    "vibrational_modes",
]
