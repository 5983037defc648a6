"""A convex quadratic in a box, ½ sᵀQs + cᵀs over 0 ≤ s ≤ upper: projected Newton on the free variables."""

from ..support.arrays import Array, namespace
from . import factor_dense

# A variable whose diagonal entry is below this fraction of the largest one has no curvature: its row of Q is zero (the
# kink of a unit that died away). It goes to the bound that its linear term pushes it to.
NULL = 1e-28
# Added to each diagonal entry, in units of that entry: where the gradients of kinks are dependent, Q is singular.
RIDGE = 1e-13
TOLERANCE = 1e-13  # of |c| + |Q|: a gradient this small is rounding
MAX_ITERATIONS = 200  # a guard: the loop ends earlier, by the gradient or by a step that vanishes
# The longest step, in units of s (slopes lie between 0 and 1). Along directions without curvature Newton's step could
# have any length.
LONGEST = 10.0


def minimize_in_box(q: Array, c: Array, s: Array, upper: Array) -> Array:
    """The minimum of ½ sᵀQs + cᵀs over 0 ≤ s ≤ upper, (k,); entries at a bound are equal to it.

    Parameters
    ----------
    q : (k, k) array
        Symmetric, without negative eigenvalues.
    c, s, upper : (k,) arrays
        The linear term, a start inside the box, and the upper bounds (which may be infinite).

    Notes
    -----
    Source: D. P. Bertsekas, SIAM J. Control Optim. 20, 221 (1982): a variable at a bound that the gradient
    pushes out is fixed; Newton's step in the others is projected into the box, halved until it descends.
    """
    if not len(c):
        return s
    xp = namespace(c)
    q = q + RIDGE * xp.diag(xp.diagonal(q))
    scale = float(abs(c).max()) + float(abs(q).max())
    # Q has no negative eigenvalue, so where the diagonal vanishes the row vanishes too
    linear = xp.diagonal(q) <= NULL * xp.diagonal(q).max()
    s = xp.where(linear & (c != 0), upper * (c < 0), s)
    gradient = q @ s + c
    for _ in range(MAX_ITERATIONS):
        bound = linear | ((s <= 0) & (gradient > 0)) | ((s >= upper) & (gradient < 0))
        free = xp.nonzero(~bound)[0]
        inner = gradient[free]
        if not len(free) or float(abs(inner).max()) <= TOLERANCE * scale:
            break
        factor = factor_dense(q[free][:, free], 0.0)
        direction = -factor.solve(inner) if factor.positive else -inner / xp.diagonal(q)[free]
        t = min(1.0, LONGEST / float(abs(direction).max()))
        shortest = 1e-9 * t  # after 30 halvings without a sufficient decrease the search is given up
        while True:
            trial = xp.minimum(xp.clip(s[free] + t * direction, min=0.0), upper[free])
            change = 0.0 * s
            change[free] = trial - s[free]
            pushed = q @ change
            decrease = -float((gradient + 0.5 * pushed) @ change)
            # Armijo's condition: 1e-4 of the decrease that the slope promises is enough
            if decrease >= -1e-4 * float(gradient @ change) or t < shortest:
                break
            t /= 2
        if t < shortest:
            break
        s = s + change
        s[free] = trial  # exactly at its bounds
        gradient = q @ s + c
    return s
