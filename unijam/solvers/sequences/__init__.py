"""Methods that are sequences of solvers: stages, rounds, paths from softplus to ReLU, searches for U = 0."""
