"""Ensembles: many systems of one recipe, measured on all cores, each once, and kept."""

from .branches import BranchSample, measure_branch
from .jammed import JammedSample, measure_jammed
from .kernel_energies import KernelEnergySample, measure_kernel_energies
from .recipe import Recipe
from .run import ensemble
from .sample import Measurement, Sample

__all__ = [
    "BranchSample",
    "JammedSample",
    "KernelEnergySample",
    "Measurement",
    "Recipe",
    "Sample",
    "ensemble",
    "measure_branch",
    "measure_jammed",
    "measure_kernel_energies",
]
