"""Spectra of a state: H0, Hp and H, vibrational modes, densities of states, and certificates of minima."""

from .certificate import Certificate, certify
from .decomposition import HessianDecomposition, KernelSigns, decompose_hessian
from .density import DensityOfStates, density_of_states, missing_modes
from .matrix_free import MatrixFreeHessian
from .modes import VibrationalModes, vibrational_modes
from .quadrature import SpectralQuadrature, spectral_quadrature

__all__ = [
    "Certificate",
    "DensityOfStates",
    "HessianDecomposition",
    "KernelSigns",
    "MatrixFreeHessian",
    "SpectralQuadrature",
    "VibrationalModes",
    "certify",
    "decompose_hessian",
    "density_of_states",
    "missing_modes",
    "spectral_quadrature",
    "vibrational_modes",
]
