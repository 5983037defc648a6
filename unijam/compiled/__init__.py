"""What touches numba's internals: vectors in registers, dispatch of compiled functions, arrays that do not overlap."""
