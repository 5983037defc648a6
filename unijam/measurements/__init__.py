"""Measurements of one system (at jamming, along a branch, at a transition), and laws from samples of many systems."""

from .jammed import JammedSample, measure_jammed
from .kernel_energies import KernelEnergySample, measure_kernel_energies
from .landscape import LandscapeSample, measure_descent, measure_minimum
from .margins import MarginCurve, jamming_margins
from .pressures import BranchSample, measure_branch
from .state import MeasuredState, measure_state
from .thresholds import ThresholdSample, measure_threshold
from .transition import Transition, find_transition

__all__ = [
    "BranchSample",
    "JammedSample",
    "KernelEnergySample",
    "LandscapeSample",
    "MarginCurve",
    "MeasuredState",
    "ThresholdSample",
    "Transition",
    "find_transition",
    "jamming_margins",
    "measure_branch",
    "measure_descent",
    "measure_jammed",
    "measure_kernel_energies",
    "measure_minimum",
    "measure_state",
    "measure_threshold",
]
