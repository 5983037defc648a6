"""Ensembles: many systems of one recipe, measured on all cores; each is measured once and stored."""

from .recipe import Recipe
from .run import EnsembleError, run_ensemble
from .sample import Measurement, Sample
from .workers import Failure

__all__ = ["EnsembleError", "Failure", "Measurement", "Recipe", "Sample", "run_ensemble"]
