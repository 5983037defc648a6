"""Statistics of the signed distances: counting, P±(Δ), exponents."""

from .counting import ConstraintCount, count_constraints
from .distances import DeltaStatistics, Exponent, delta_statistics

__all__ = ["ConstraintCount", "DeltaStatistics", "Exponent", "count_constraints", "delta_statistics"]
