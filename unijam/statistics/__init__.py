"""Counts of constraints, the laws P±(Δ) of small overlaps and gaps, and confidence intervals."""

from .bootstrap import Estimate, estimate, exponent_of_means, half_crossing, power_law
from .counting import ConstraintCount, Kind, count_constraints, kind_of
from .distances import DeltaStatistics, Exponent, delta_statistics

__all__ = [
    "ConstraintCount",
    "DeltaStatistics",
    "Estimate",
    "Exponent",
    "Kind",
    "count_constraints",
    "delta_statistics",
    "estimate",
    "exponent_of_means",
    "half_crossing",
    "kind_of",
    "power_law",
]
