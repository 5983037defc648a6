"""Methods made of others: stages, rounds, paths from softplus to ReLU, searches for U = 0."""
