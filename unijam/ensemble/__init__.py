"""Ensembles: many systems of one recipe, measured on all cores, each once, and kept."""

from .jammed import JammedSample, measure_jammed
from .recipe import Recipe
from .run import ensemble
from .sample import Measurement, Sample

__all__ = ["JammedSample", "Measurement", "Recipe", "Sample", "ensemble", "measure_jammed"]
