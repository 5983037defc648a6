"""What `PairSystem` is made of: bodies, derivatives of Δ over pairs, sparse matrices, checks; and shapes."""
