"""A convex quadratic in a box, ½ sᵀQs + cᵀs over 0 ≤ s ≤ upper: projected Newton on the free variables."""

from ..support.arrays import Array, namespace
from . import factor_dense

NULL = 1e-28  # of the largest diagonal entry: a variable without curvature (a unit that died away)
RIDGE = 1e-13  # of each diagonal entry: where kinks' gradients are dependent, Q is singular
TOLERANCE = 1e-13
MAX_ITERATIONS = 200
LONGEST = 10.0  # step, in sides of the box: along directions without curvature Newton's is without bounds


def minimize_in_box(q: Array, c: Array, s: Array, upper: Array) -> Array:
    """The minimum, (k,), from a start s in the box; entries at a bound are exactly there.

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
    linear = xp.diagonal(q) <= NULL * xp.diagonal(q).max()  # its row vanishes too
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
        shortest = 1e-9 * t
        while True:
            trial = xp.minimum(xp.clip(s[free] + t * direction, min=0.0), upper[free])
            change = 0.0 * s
            change[free] = trial - s[free]
            pushed = q @ change
            decrease = -float((gradient + 0.5 * pushed) @ change)
            if decrease >= -1e-4 * float(gradient @ change) or t < shortest:
                break
            t /= 2
        if t < shortest:
            break
        s = s + change
        s[free] = trial  # exactly at its bounds
        gradient = q @ s + c
    return s
