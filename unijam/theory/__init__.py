"""Theory curves: exponents, densities of states, ground states solved exactly."""
