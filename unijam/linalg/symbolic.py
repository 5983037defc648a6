"""What a sparse factor will look like: nodes, their elimination tree, and the panels into which columns are gathered.

Columns of equal pattern (the coordinates of one particle) are one node of the graph that is ordered and analysed.

Sources: J. W. H. Liu, SIAM J. Matrix Anal. Appl. 11, 134 (1990): the elimination tree; C. Ashcraft and R. Grimes,
ACM Trans. Math. Softw. 15, 291 (1989): panels that keep some zeros.
"""

from typing import NamedTuple

import numpy as np

from ..compiled import loop
from ..support.arrays import Array

# A panel takes in the child below it where that keeps few zeros, so that fewer and wider panels are eliminated. Times
# change by some per cent between these and CHOLMOD's numbers, by a third (in space) where no zeros are kept.
NARROW = 4  # columns, up to which any zeros are kept
MIDDLE, SOME = 16, 0.2  # columns, up to which this share of zeros is kept
FEW = 0.05  # the share of zeros that a panel of any width keeps


class Panels(NamedTuple):
    """The places of the entries of L, panel after panel; children stand before their parents.

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
    parent : (s,) array
        The panel that holds the first row below each panel; −1 if there are no rows below.
    room : int
        The largest number of entries of updates that wait for their parents at one time.
    entries : int
        The entries of L, without the zeros that panels keep.
    """

    place: Array
    columns: Array
    starts: Array
    rows: Array
    offsets: Array
    parent: Array
    room: int
    entries: int


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
def tree_of(indices: Array, indptr: Array, order: Array) -> tuple[Array, Array]:
    """The order with children before parents, subtrees together, and the parent of each place in it (−1: none)."""
    count = len(order)
    inverse = np.empty(count, np.int64)
    for k in range(count):
        inverse[order[k]] = k
    parent, ancestor = np.full(count, -1), np.full(count, -1)
    for k in range(count):
        for place in range(indptr[order[k]], indptr[order[k] + 1]):
            j = inverse[indices[place]]
            while j >= 0 and j < k:
                above = ancestor[j]
                ancestor[j] = k  # paths are cut short for the next search
                if above < 0:
                    parent[j] = k
                    break
                if above == k:
                    break
                j = above
    child, sibling = np.full(count, -1), np.full(count, -1)
    for k in range(count - 1, -1, -1):
        if parent[k] >= 0:
            sibling[k] = child[parent[k]]
            child[parent[k]] = k
    moved, filled = np.empty(count, np.int64), 0  # where each goes
    for root in range(count):
        if parent[root] >= 0:
            continue
        k = root
        while True:
            while child[k] >= 0:
                k = child[k]
            moved[k] = filled
            filled += 1
            while k != root and sibling[k] < 0:
                k = parent[k]
                moved[k] = filled
                filled += 1
            if k == root:
                break
            k = sibling[k]
    new_order, new_parent = np.empty(count, np.int64), np.full(count, -1)
    for k in range(count):
        new_order[moved[k]] = order[k]
        if parent[k] >= 0:
            new_parent[moved[k]] = moved[parent[k]]
    return new_order, new_parent


@loop
def structure_of(indices: Array, indptr: Array, order: Array, parent: Array) -> tuple[Array, Array]:
    """The rows below the diagonal of each node of L, (ends, rows): those of the graph and of its children."""
    count = len(order)
    inverse = np.empty(count, np.int64)
    for k in range(count):
        inverse[order[k]] = k
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
        if parent[k] >= 0:
            sibling[k] = child[parent[k]]
            child[parent[k]] = k
    return ends, below


@loop
def gather(size: Array, parent: Array, ends: Array, below: Array) -> tuple[Array, Array, int]:
    """(heads, parents, entries) of the panels: runs of nodes, merged where few zeros are kept by it."""
    count, entries = len(size), 0
    length = np.zeros(count, np.int64)  # rows below each node, counted in columns of the matrix
    for k in range(count):
        for place in range(ends[k], ends[k + 1]):
            length[k] += size[below[place]]
        entries += size[k] * (size[k] + 1) // 2 + size[k] * length[k]
    heads, tops = np.empty(count + 1, np.int64), np.empty(count, np.int64)
    width, zeros = np.empty(count, np.int64), np.empty(count, np.int64)
    n_panels = 0
    for k in range(count):
        heads[n_panels], tops[n_panels], width[n_panels], zeros[n_panels] = k, k, size[k], 0
        n_panels += 1
        while n_panels > 1:
            s, last = n_panels - 1, n_panels - 2
            if parent[tops[last]] != k:
                break
            rows = width[s] + length[k]  # of the panel above, and below the columns of the child once merged
            added = width[last] * (rows - length[tops[last]])
            wide = width[last] + width[s]
            total = zeros[last] + zeros[s] + added
            share = total / (wide * (wide + 1) // 2 + wide * length[k])
            if not (wide <= NARROW or share < FEW or (wide <= MIDDLE and share < SOME)):
                break
            tops[last], width[last], zeros[last] = k, wide, total
            n_panels -= 1
    heads[n_panels] = count
    panel = np.empty(count, np.int64)
    for s in range(n_panels):
        panel[heads[s] : heads[s + 1]] = s
    above = np.full(n_panels, -1)
    for s in range(n_panels):
        if parent[tops[s]] >= 0:
            above[s] = panel[parent[tops[s]]]
    return heads[: n_panels + 1].copy(), above, entries


@loop
def lay_out(
    node: Array, order: Array, size: Array, heads: Array, above: Array, ends: Array, below: Array
) -> tuple[Array, Array, Array, Array, Array, int]:
    """What `Panels` holds, for nodes in their order and the panels that gather them."""
    count, n, n_panels = len(order), len(node), len(above)
    inverse, begin = np.empty(count, np.int64), np.zeros(count + 1, np.int64)
    for k in range(count):
        inverse[order[k]] = k
        begin[k + 1] = begin[k] + size[k]
    columns, starts = np.empty(n_panels + 1, np.int64), np.zeros(n_panels + 1, np.int64)
    offsets = np.zeros(n_panels + 1, np.int64)
    for s in range(n_panels):
        last = heads[s + 1] - 1
        columns[s] = begin[heads[s]]
        width = begin[heads[s + 1]] - columns[s]
        length = width
        for place in range(ends[last], ends[last + 1]):
            length += size[below[place]]
        starts[s + 1] = starts[s] + length
        offsets[s + 1] = offsets[s] + length * width
    columns[n_panels] = n
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
    # the stack of updates: a panel's own is made above those of its children, then takes their place
    room, waiting, of_children = 0, 0, np.zeros(n_panels, np.int64)
    for s in range(n_panels):
        rest = starts[s + 1] - starts[s] - (columns[s + 1] - columns[s])
        room = max(room, waiting + rest * rest)
        waiting += rest * rest - of_children[s]
        if above[s] >= 0:
            of_children[above[s]] += rest * rest
    return moved, columns, starts, rows, offsets, room


def analyse(indices: Array, indptr: Array, order: Array, node: Array) -> Panels:
    """The panels of L for a graph of nodes, an order of these, and the node of each column of the matrix."""
    order, parent = tree_of(indices, indptr, order)
    ends, below = structure_of(indices, indptr, order, parent)
    size = np.bincount(node, minlength=len(order))[order]
    heads, above, entries = gather(size, parent, ends, below)
    place, columns, starts, rows, offsets, room = lay_out(node, order, size, heads, above, ends, below)
    return Panels(place, columns, starts, rows, offsets, above, room, entries)
