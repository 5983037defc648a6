"""Ensembles: many systems of one recipe, measured on all cores, each once, and kept."""

from .branches import BranchSample, measure_branch
from .jammed import JammedSample, measure_jammed
from .kernel_energies import KernelEnergySample, measure_kernel_energies
from .landscape import LandscapeSample, measure_descent, measure_minimum
from .recipe import Recipe
from .run import ensemble
from .sample import Measurement, Sample

__all__ = [
    "BranchSample",
    "JammedSample",
    "KernelEnergySample",
    "LandscapeSample",
    "Measurement",
    "Recipe",
    "Sample",
    "ensemble",
    "measure_branch",
    "measure_descent",
    "measure_jammed",
    "measure_kernel_energies",
    "measure_minimum",
]
