"""Ensembles: many systems of one recipe, jammed on all cores, each measured once and kept."""

from .recipe import Recipe
from .run import jammed_ensemble
from .sample import JammedSample, measure

__all__ = ["JammedSample", "Recipe", "jammed_ensemble", "measure"]
