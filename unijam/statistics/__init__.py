"""Statistics of the signed distances: counting, P±(Δ), exponents."""

from .counting import ConstraintCount, count_constraints

__all__ = ["ConstraintCount", "count_constraints"]
