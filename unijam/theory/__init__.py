"""Theory curves: exponents, densities of states, exact ground states."""
