"""Ensembles: many systems of one recipe, measured on all cores, each once, and kept."""

from .recipe import Recipe
from .run import ensemble
from .sample import Measurement, Sample

__all__ = ["Measurement", "Recipe", "Sample", "ensemble"]
