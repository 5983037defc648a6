"""Numbers that decide what is called an overlap, satisfied or stationary: one constant, one value."""

STATIONARY = 1e-9  # relative gradient
