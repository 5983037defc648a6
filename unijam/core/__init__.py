"""The contract: systems, constraints, kinks, potentials; systems of which only Δ is written."""
