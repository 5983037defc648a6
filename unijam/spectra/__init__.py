"""Spectra: the Hessian's decomposition, densities of states, theory curves."""

from .decomposition import HessianDecomposition, decompose_hessian

__all__ = ["HessianDecomposition", "decompose_hessian"]
