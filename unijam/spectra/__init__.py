"""Spectra: the Hessian's decomposition, vibrational modes, densities of states, theory curves."""

from .certificate import Certificate, certify
from .decomposition import HessianDecomposition, decompose_hessian
from .density import DensityOfStates, density_of_states, missing_modes
from .modes import VibrationalModes, vibrational_modes

__all__ = [
    "Certificate",
    "DensityOfStates",
    "HessianDecomposition",
    "VibrationalModes",
    "certify",
    "decompose_hessian",
    "density_of_states",
    "missing_modes",
    "vibrational_modes",
]
