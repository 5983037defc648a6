"""L D Lᵀ of symmetric sparse matrices by supernodes: runs of columns of one structure, kept as dense panels.

Columns of equal pattern (the coordinates of one particle) are one node of the graph that is ordered and analysed.
There are no row exchanges, so the signs of D tell the number of negative eigenvalues.

Source: E. G. Ng and B. W. Peyton, SIAM J. Sci. Comput. 14, 1034 (1993); here each panel updates those after it.
"""

from typing import NamedTuple

import numpy as np

from ..compiled import loop
from ..support.arrays import Array

# The largest number of columns of a panel: 32 columns of 100 rows are 26 kB, and fit into the first cache (32 kB).
WIDEST = 32


class Panels(NamedTuple):
    """The places of the entries of L.

    Attributes
    ----------
    place : (n,) array
        The number, in the order of elimination, of each row and column of the matrix.
    columns : (s + 1,) array
        The first column of each panel.
    starts, rows : (s + 1,) and (r,) arrays
        rows[starts[k]:starts[k + 1]] are the rows of panel k, ascending; the panel's own columns come first.
    offsets : (s + 1,) array
        The place of the first value of each panel; values are stored column by column.
    panel : (n,) array
        The panel of each column.
    """

    place: Array
    columns: Array
    starts: Array
    rows: Array
    offsets: Array
    panel: Array


# Compiler flags. Sums may be taken in any order, so that they vectorise. NaN and infinity keep their meaning (neither
# "nnan" nor "ninf"), because a pivot that vanishes or overflows is recognised by them.
_fast = {"contract", "nsz", "reassoc", "arcp"}


@loop
def nodes_of(indices: Array, indptr: Array) -> tuple[Array, Array]:
    """The node of each column, (n,), and the first column of each node, (k,).

    Columns of equal pattern are one node. `indices` and `indptr` are those of a csc matrix with sorted indices whose
    diagonal is stored.
    """
    n, count = len(indptr) - 1, 0
    node, first = np.full(n, -1), np.empty(n, np.int64)
    for column in range(n):
        low, length = indptr[column], indptr[column + 1] - indptr[column]
        for place in range(low, low + length):
            # an earlier column of equal pattern has a diagonal entry, so it is among the rows of this column
            other = indices[place]
            start = indptr[other]
            if other >= column or node[column] >= 0:
                break
            if first[node[other]] == other and indptr[other + 1] - start == length:
                k = 0
                while k < length and indices[low + k] == indices[start + k]:
                    k += 1
                if k == length:
                    node[column] = node[other]
        if node[column] < 0:
            node[column], first[count] = count, column
            count += 1
    return node, first[:count].copy()


@loop
def graph_of(indices: Array, indptr: Array, node: Array, first: Array) -> tuple[Array, Array]:
    """(indices, indptr) of the graph of the k nodes, sorted; each node is its own neighbour."""
    count = len(first)
    ends, mark = np.zeros(count + 1, np.int32), np.full(count, -1)
    neighbours = np.empty(len(indices) + count, np.int32)
    filled = 0
    for k in range(count):
        begin = filled
        for place in range(indptr[first[k]], indptr[first[k] + 1]):
            other = node[indices[place]]
            if mark[other] != k:
                mark[other] = k
                neighbours[filled] = other
                filled += 1
        if mark[k] != k:
            mark[k] = k
            neighbours[filled] = k
            filled += 1
        neighbours[begin:filled] = np.sort(neighbours[begin:filled])
        ends[k + 1] = filled
    return neighbours[:filled].copy(), ends


@loop
def analyse(indices: Array, indptr: Array, order: Array, node: Array) -> tuple[Array, ...]:
    """The fields of `Panels`, from a graph of k nodes, their order, (k,), and the node of each column, (n,)."""
    count, n = len(order), len(node)
    inverse, size = np.empty(count, np.int64), np.zeros(count, np.int64)
    for k in range(count):
        inverse[order[k]] = k
    for column in range(n):
        size[inverse[node[column]]] += 1
    begin = np.zeros(count + 1, np.int64)
    for k in range(count):
        begin[k + 1] = begin[k] + size[k]
    # The rows below the diagonal of a node are those of the graph and those of its children in the elimination tree.
    # The room for them is a guess, and doubled when it is used up.
    room = 8 * len(indices) + 64
    below, ends = np.empty(room, np.int64), np.zeros(count + 1, np.int64)
    child, sibling, mark = np.full(count, -1), np.full(count, -1), np.full(count, -1)
    for k in range(count):
        filled = ends[k]
        if filled + count > room:
            room = 2 * room + count
            longer = np.empty(room, np.int64)
            longer[:filled] = below[:filled]
            below = longer
        mark[k] = k
        for place in range(indptr[order[k]], indptr[order[k] + 1]):
            row = inverse[indices[place]]
            if row > k and mark[row] != k:
                mark[row] = k
                below[filled] = row
                filled += 1
        c = child[k]
        while c >= 0:
            for place in range(ends[c], ends[c + 1]):
                row = below[place]
                if mark[row] != k:
                    mark[row] = k
                    below[filled] = row
                    filled += 1
            c = sibling[c]
        below[ends[k] : filled] = np.sort(below[ends[k] : filled])
        ends[k + 1] = filled
        if filled > ends[k]:
            parent = below[ends[k]]
            sibling[k] = child[parent]
            child[parent] = k
    # A node joins the panel of the node before it if the rows of that node are this node and this node's rows.
    columns, heads = np.empty(count + 1, np.int64), np.empty(count + 1, np.int64)
    n_panels = 0
    for k in range(count):
        joins = k > 0 and ends[k] - ends[k - 1] == ends[k + 1] - ends[k] + 1 and below[ends[k - 1]] == k
        if not joins or begin[k + 1] - columns[n_panels - 1] > WIDEST:
            columns[n_panels], heads[n_panels] = begin[k], k
            n_panels += 1
    columns[n_panels], heads[n_panels] = n, count
    starts, offsets = np.zeros(n_panels + 1, np.int64), np.zeros(n_panels + 1, np.int64)
    panel = np.empty(n, np.int64)
    for s in range(n_panels):
        last = heads[s + 1] - 1
        length = columns[s + 1] - columns[s]
        panel[columns[s] : columns[s + 1]] = s
        for place in range(ends[last], ends[last + 1]):
            length += size[below[place]]
        starts[s + 1] = starts[s] + length
        offsets[s + 1] = offsets[s] + length * (columns[s + 1] - columns[s])
    rows = np.empty(starts[n_panels], np.int64)
    for s in range(n_panels):
        at, last = starts[s], heads[s + 1] - 1
        for row in range(columns[s], columns[s + 1]):
            rows[at] = row
            at += 1
        for place in range(ends[last], ends[last + 1]):
            for row in range(begin[below[place]], begin[below[place] + 1]):
                rows[at] = row
                at += 1
    moved, filled_to = np.empty(n, np.int64), begin[:-1].copy()
    for column in range(n):
        k = inverse[node[column]]
        moved[column] = filled_to[k]
        filled_to[k] += 1
    return moved, columns[: n_panels + 1].copy(), starts, rows, offsets, panel


@loop(fastmath=_fast)
def factorise(data: Array, indices: Array, indptr: Array, shift: float, panels: Panels) -> tuple[Array, int]:
    """The values of L, with D on its diagonal, and the number of negative D; −1 if some D vanishes or is NaN.

    Parameters
    ----------
    data, indices, indptr : arrays
        A symmetric (n, n) csc matrix, both triangles stored.
    shift : float
        Added to the diagonal.
    panels : Panels
    """
    place, columns, starts, rows, offsets, panel = panels
    n, n_panels = len(place), len(columns) - 1
    values, where = np.zeros(offsets[-1]), np.empty(n, np.int64)
    origin = np.empty(n, np.int64)
    for column in range(n):
        origin[place[column]] = column
    for s in range(n_panels):
        length = starts[s + 1] - starts[s]
        for k in range(length):
            where[rows[starts[s] + k]] = k
        for column in range(columns[s], columns[s + 1]):
            base = offsets[s] + (column - columns[s]) * length
            old = origin[column]
            for entry in range(indptr[old], indptr[old + 1]):
                row = place[indices[entry]]
                if row >= column:
                    values[base + where[row]] += data[entry]
            values[base + column - columns[s]] += shift
    n_negative, relative, sums, more = 0, np.empty(n, np.int64), np.empty(n), np.empty(n)
    for s in range(n_panels):
        width, length = columns[s + 1] - columns[s], starts[s + 1] - starts[s]
        own = values[offsets[s] : offsets[s + 1]]
        for k in range(width):
            pivot = own[k * length + k]
            if not abs(pivot) > 0.0:
                return values, -1
            n_negative += pivot < 0.0
            left = own[k * length : (k + 1) * length]
            inverse = 1.0 / pivot
            for j in range(k + 1, width):
                factor = left[j] * inverse
                right = own[j * length : (j + 1) * length]
                for i in range(j, length):
                    right[i] -= factor * left[i]
            for i in range(k + 1, length):
                left[i] *= inverse
        # subtract L D Lᵀ of this panel from the panels after it
        j = width
        while j < length:
            target = panel[rows[starts[s] + j]]
            end = j
            while end < length and rows[starts[s] + end] < columns[target + 1]:
                end += 1
            long = starts[target + 1] - starts[target]
            at = starts[target]
            for i in range(j, length):
                row = rows[starts[s] + i]
                while rows[at] < row:
                    at += 1
                relative[i] = at - starts[target]
            for c in range(j, end, 2):  # two columns at once; if only one is left, `more` is not used
                other = min(c + 1, end - 1)
                sums[c:length] = 0.0
                more[c:length] = 0.0
                k = 0
                while k + 1 < width:
                    a = own[k * length : (k + 1) * length]
                    b = own[(k + 1) * length : (k + 2) * length]
                    ac, ao, bc, bo = a[c] * a[k], a[other] * a[k], b[c] * b[k + 1], b[other] * b[k + 1]
                    for i in range(c, length):
                        sums[i] += ac * a[i] + bc * b[i]
                        more[i] += ao * a[i] + bo * b[i]
                    k += 2
                if k < width:
                    a = own[k * length : (k + 1) * length]
                    ac, ao = a[c] * a[k], a[other] * a[k]
                    for i in range(c, length):
                        sums[i] += ac * a[i]
                        more[i] += ao * a[i]
                base = offsets[target] + (rows[starts[s] + c] - columns[target]) * long
                for i in range(c, length):
                    values[base + relative[i]] -= sums[i]
                if other > c:
                    base += long * (rows[starts[s] + other] - rows[starts[s] + c])
                    for i in range(other, length):
                        values[base + relative[i]] -= more[i]
            j = end
    return values, n_negative


@loop(fastmath=_fast)
def solve(values: Array, panels: Panels, rhs: Array) -> Array:
    """The solution x of L D Lᵀ x = rhs, (n,); x and rhs are in the order of the matrix."""
    place, columns, starts, rows, offsets, _ = panels
    x = np.empty(len(rhs))
    for column in range(len(rhs)):
        x[place[column]] = rhs[column]
    n_panels = len(columns) - 1
    for s in range(n_panels):
        width, length = columns[s + 1] - columns[s], starts[s + 1] - starts[s]
        for k in range(width):
            base, of_column = offsets[s] + k * length, x[columns[s] + k]
            for i in range(k + 1, length):
                x[rows[starts[s] + i]] -= values[base + i] * of_column
    for s in range(n_panels - 1, -1, -1):
        width, length = columns[s + 1] - columns[s], starts[s + 1] - starts[s]
        for k in range(width - 1, -1, -1):
            base = offsets[s] + k * length
            total = x[columns[s] + k] / values[base + k]
            for i in range(k + 1, length):
                total -= values[base + i] * x[rows[starts[s] + i]]
            x[columns[s] + k] = total
    solution = np.empty(len(rhs))
    for column in range(len(rhs)):
        solution[column] = x[place[column]]
    return solution
