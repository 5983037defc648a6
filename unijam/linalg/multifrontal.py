"""L D Lᵀ of symmetric sparse matrices by fronts: dense panels, each eliminated in a small dense matrix of its own.

A panel and what it changes in the rows below form a front, made of the matrix and of the updates of its children in
the elimination tree; nearly all work is products of dense matrices, which BLAS does. There are no row exchanges: the
signs of D are the inertia.

Source: I. S. Duff and J. K. Reid, ACM Trans. Math. Softw. 9, 302 (1983).
"""

import numpy as np

from ..compiled import inline, loop
from ..compiled.blas import subtract_product
from ..support.arrays import Array
from .symbolic import Panels

BLOCK = 32  # columns that are eliminated one by one, before the others are changed by one product
STRIP = 64  # rows of a symmetric target that one product changes: half of it is saved, but for the strip's own corner
THIN = 16  # columns up to which loops are faster than a call of BLAS

# Compiler flags. Sums may be taken in any order, so that they vectorise. NaN and infinity keep their meaning (neither
# "nnan" nor "ninf"), because a pivot that vanishes or overflows is recognised by them.
_fast = {"contract", "nsz", "reassoc", "arcp"}


# The functions below are inlined into `factorise`: as compiled functions of their own they would be optimised once more
# there, and a process that has just compiled them would run other sums, in their last digits, than one that loads them.
@inline(fastmath=_fast, forceinline=True)
def _subtract_columns(
    target: Array, panel: Array, length: int, row: int, first: int, low: int, high: int
) -> None:
    """target −= Σ L_k d_k L_k[row] over the columns low … high of a panel, from row `first` on; four at once."""
    size = len(target)
    k = low
    while k + 3 < high:
        a = panel[k * length + first : k * length + first + size]
        b = panel[(k + 1) * length + first : (k + 1) * length + first + size]
        c = panel[(k + 2) * length + first : (k + 2) * length + first + size]
        d = panel[(k + 3) * length + first : (k + 3) * length + first + size]
        fa = panel[k * length + row] * panel[k * length + k]
        fb = panel[(k + 1) * length + row] * panel[(k + 1) * length + k + 1]
        fc = panel[(k + 2) * length + row] * panel[(k + 2) * length + k + 2]
        fd = panel[(k + 3) * length + row] * panel[(k + 3) * length + k + 3]
        for i in range(size):
            target[i] -= fa * a[i] + fb * b[i] + fc * c[i] + fd * d[i]
        k += 4
    while k < high:
        a = panel[k * length + first : k * length + first + size]
        fa = panel[k * length + row] * panel[k * length + k]
        for i in range(size):
            target[i] -= fa * a[i]
        k += 1


@inline(fastmath=_fast, forceinline=True)
def _subtract(
    target: Array,
    target_row: int,
    panel: Array,
    length: int,
    first: int,
    size: int,
    low: int,
    high: int,
    work: Array,
) -> None:
    """target −= L D Lᵀ of the columns low … high of a panel, in the lower half, by columns, of `size` of them.

    Row `first` of the panel meets the first row and column of the target; its rows end with the panel's.
    """
    rows = length - first
    if high - low <= THIN:
        for c in range(size):
            into = target[c * target_row + c : c * target_row + rows]
            _subtract_columns(into, panel, length, first + c, first + c, low, high)
        return
    for begin in range(0, size, STRIP):
        strip = min(STRIP, size - begin)
        for k in range(low, high):
            d = panel[k * length + k]
            for c in range(strip):
                work[(k - low) * strip + c] = d * panel[k * length + first + begin + c]
        subtract_product(
            target[begin * target_row + begin :], target_row, panel[low * length + first + begin :], length,
            work, strip, rows - begin, strip, high - low,
        )  # fmt: skip


@inline(fastmath=_fast, forceinline=True)
def _eliminate(panel: Array, length: int, width: int, work: Array) -> int:
    """Eliminate the columns of a panel among themselves; the number of negative pivots, −1 where one vanishes."""
    n_negative = 0
    for low in range(0, width, BLOCK):
        high = min(low + BLOCK, width)
        for k in range(low, high):
            own = panel[k * length + k : (k + 1) * length]
            _subtract_columns(own, panel, length, k, k, low, k)
            pivot = own[0]
            if not abs(pivot) > 0.0:
                return -1
            n_negative += pivot < 0.0
            inverse = 1.0 / pivot
            for i in range(1, length - k):
                own[i] *= inverse
        if high < width:
            _subtract(
                panel[high * length + high :], length, panel, length, high, width - high, low, high, work
            )
    return n_negative


@loop(fastmath=_fast)
def factorise(data: Array, indices: Array, indptr: Array, shift: float, panels: Panels) -> tuple[Array, int]:
    """The values of L, with D on the diagonal, and how many D are negative: −1 where one vanishes or is NaN."""
    place, columns, starts, rows, offsets, parent, room, _ = panels
    n, n_panels = len(place), len(columns) - 1
    values, stack = np.zeros(offsets[-1]), np.empty(room)
    where, origin, met = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    for column in range(n):
        origin[place[column]] = column
    child, sibling = np.full(n_panels, -1), np.full(n_panels, -1)
    update = np.empty(n_panels, np.int64)  # where each waits on the stack
    widest = 0
    for s in range(n_panels):
        widest = max(widest, columns[s + 1] - columns[s])
    work = np.empty(STRIP * max(widest, BLOCK))
    top, n_negative = 0, 0
    for s in range(n_panels):
        width, length = columns[s + 1] - columns[s], starts[s + 1] - starts[s]
        rest = length - width
        own = values[offsets[s] : offsets[s + 1]]
        for k in range(length):
            where[rows[starts[s] + k]] = k
        for k in range(width):
            old = origin[columns[s] + k]
            for entry in range(indptr[old], indptr[old + 1]):
                row = place[indices[entry]]
                if row >= columns[s] + k:
                    own[k * length + where[row]] += data[entry]
            own[k * length + k] += shift
        front = stack[top : top + rest * rest]
        front[:] = 0.0
        lowest = top
        c = child[s]
        while c >= 0:
            first = starts[c] + columns[c + 1] - columns[c]
            size = starts[c + 1] - first
            lowest = min(lowest, update[c])
            for j in range(size):
                met[j] = where[rows[first + j]]
            for j in range(size):
                column = met[j]
                left = stack[update[c] + j * size : update[c] + (j + 1) * size]
                if column < width:
                    into = own[column * length : (column + 1) * length]
                    for i in range(j, size):
                        into[met[i]] += left[i]
                else:
                    into = front[(column - width) * rest : (column - width + 1) * rest]
                    for i in range(j, size):
                        into[met[i] - width] += left[i]
            c = sibling[c]
        found = _eliminate(own, length, width, work)
        if found < 0:
            return values, -1
        n_negative += found
        if rest:
            _subtract(front, rest, own, length, width, rest, 0, width, work)
            if lowest < top:
                stack[lowest : lowest + rest * rest] = front
            update[s] = lowest
            sibling[s] = child[parent[s]]
            child[parent[s]] = s
        top = lowest + rest * rest
    return values, n_negative


@loop(fastmath=_fast)
def solve(values: Array, panels: Panels, rhs: Array) -> Array:
    """x of L D Lᵀ x = rhs, (n,), in the matrix's own order."""
    place, columns, starts, rows, offsets, _, _, _ = panels
    x, below = np.empty(len(rhs)), np.empty(len(rhs))
    for column in range(len(rhs)):
        x[place[column]] = rhs[column]
    n_panels = len(columns) - 1
    for s in range(n_panels):
        width, length = columns[s + 1] - columns[s], starts[s + 1] - starts[s]
        sums = below[: length - width]
        sums[:] = 0.0
        for k in range(width):
            column = values[offsets[s] + k * length : offsets[s] + (k + 1) * length]
            of_column = x[columns[s] + k]
            for i in range(k + 1, width):
                x[columns[s] + i] -= column[i] * of_column
            for i in range(width, length):
                sums[i - width] += column[i] * of_column
        for i in range(length - width):
            x[rows[starts[s] + width + i]] -= sums[i]
    for s in range(n_panels - 1, -1, -1):
        width, length = columns[s + 1] - columns[s], starts[s + 1] - starts[s]
        known = below[: length - width]
        for i in range(length - width):
            known[i] = x[rows[starts[s] + width + i]]
        for k in range(width - 1, -1, -1):
            column = values[offsets[s] + k * length : offsets[s] + (k + 1) * length]
            total = 0.0
            for i in range(width, length):
                total += column[i] * known[i - width]
            for i in range(k + 1, width):
                total += column[i] * x[columns[s] + i]
            x[columns[s] + k] = x[columns[s] + k] / column[k] - total
    solution = np.empty(len(rhs))
    for column in range(len(rhs)):
        solution[column] = x[place[column]]
    return solution
