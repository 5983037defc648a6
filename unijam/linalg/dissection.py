"""Nested dissection: an order of elimination in which small separators, which cut a graph in halves, come last.

A graph is made coarser by joining neighbours, cut where it is small, and the separator is improved on the way back to
the graph itself. Pieces that are small enough are ordered by minimum degree.

Sources: A. George, SIAM J. Numer. Anal. 10, 345 (1973); G. Karypis and V. Kumar, SIAM J. Sci. Comput. 20, 359 (1998);
C. M. Fiduccia and R. M. Mattheyses, Proc. 19th Design Automation Conference, 175 (1982).
"""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from ..compiled import inline, loop
from ..support.arrays import Array

LEAF = 100  # nodes; of smaller pieces minimum degree finds orders as good
COARSE = 60  # nodes of the graph that is cut first
STARTS = 6  # first cuts that are tried
UNEVEN = 0.65  # of the weight may lie on one side: a smaller separator is worth that much
# What a difference between the sides costs: a separator that leaves all on one side would count double. Entries of L
# differ by some per cent between 0 and 2.
IMBALANCE = 1.0
PATIENCE = 60  # moves that improve nothing, before a pass of the refinement ends
PASSES = 4  # of the refinement on each graph; most gain is in the first two
SEPARATOR = 2  # the label of a separator beside those of the two sides, 0 and 1


class Graph(NamedTuple):
    """A graph with weights.

    Attributes
    ----------
    indices, indptr : arrays
        The neighbours of node k are indices[indptr[k]:indptr[k + 1]]; k itself may be among them.
    edges : array
        Weights beside `indices`: how many edges of the original graph each stands for.
    weights : (n,) array
        Of the nodes: how many columns each stands for.
    """

    indices: Array
    indptr: Array
    edges: Array
    weights: Array


def dissected(indices: Array, indptr: Array, weights: Array) -> Array:
    """The order in which the nodes of a graph are eliminated, (n,).

    Parameters
    ----------
    indices, indptr : arrays
        The graph, as in `Graph`.
    weights : (n,) array
        Columns of the matrix that each node stands for.
    """
    n = len(indptr) - 1
    group = np.zeros(n, np.int64)  # ascending in the order that is sought
    whole = Graph(indices, indptr, np.ones(len(indices), np.int64), weights.astype(np.int64))
    waiting = [(np.arange(n), whole, 0)]
    separated = np.zeros(n, bool)
    while waiting:
        members, graph, base = waiting.pop()
        if len(members) <= LEAF:
            group[members] = base
            continue
        label = _separator(graph)
        for side in (0, 1):
            kept = np.flatnonzero(label == side)
            waiting.append((members[kept], _part(graph, kept, base), base + side * int((label == 0).sum())))
        last = members[label == SEPARATOR]
        group[last], separated[last] = base + len(members) - len(last), True
    return np.lexsort((least_degree(indices, indptr, separated), group))


def _part(graph: Graph, kept: Array, base: int) -> Graph:
    return Graph(*_subgraph(*graph, kept))


def _separator(graph: Graph) -> Array:
    """Labels of the nodes: 0 and 1 on the two sides, 2 in the separator between them."""
    levels: list[tuple[Graph, Array]] = []
    coarse = graph
    while len(coarse.weights) > COARSE:
        finer = coarse
        joined, count = _joined(*finer, int(1.5 * finer.weights.sum() / COARSE) + 1)
        if count > 0.95 * len(joined):  # a star: what is left has no edges to join along
            break
        coarse = Graph(*_contracted(*finer, joined, count))
        levels.append((finer, joined))
    most = int(UNEVEN * graph.weights.sum()) + 1
    best, least = np.zeros(len(coarse.weights), np.int8), np.inf
    for k in range(STARTS):
        start = k * len(coarse.weights) // STARTS
        label = _grown(*coarse, start)
        size = _refine(*coarse, label, most)
        if size < least:
            best, least = label, size
    for finer, joined in reversed(levels):
        best = best[joined]
        _refine(*finer, best, most)
    return best


def least_degree(indices: Array, indptr: Array, removed: Array | None = None) -> Array:
    """The rank of each node by multiple minimum degree, (n,): SuperLU finds it, in a factor of a matrix of this graph.

    Parameters
    ----------
    indices, indptr : arrays
        The graph, as in `Graph`.
    removed : (n,) mask, optional
        Nodes whose edges do not count.
    """
    n = len(indptr) - 1
    graph = sp.csc_array((np.ones(len(indices)), indices, indptr), shape=(n, n))
    if removed is not None:
        keep = sp.diags(1.0 - removed)
        graph = sp.csc_array(keep @ graph @ keep)
        graph.eliminate_zeros()
    # diagonally dominant, so that the factor exists; what it holds is not used
    dominant = sp.csc_array(sp.diags(np.diff(indptr) + 1.0) - graph)
    how = {"permc_spec": "MMD_AT_PLUS_A", "diag_pivot_thresh": 0.0, "options": {"SymmetricMode": True}}
    return spla.splu(dominant, **how).perm_c


@loop
def _joined(indices: Array, indptr: Array, edges: Array, weights: Array, heaviest: int) -> tuple[Array, int]:
    """The coarse node of each node, and their number: each is joined to the neighbour it has the most edges with."""
    n, count = len(weights), 0
    joined = np.full(n, -1)
    # nodes of few neighbours first: they have the least choice
    degree = np.empty(n, np.int64)
    for k in range(n):
        degree[k] = indptr[k + 1] - indptr[k]
    for k in np.argsort(degree, kind="mergesort"):
        if joined[k] >= 0:
            continue
        partner, most = k, 0
        for place in range(indptr[k], indptr[k + 1]):
            other = indices[place]
            if (
                other != k
                and joined[other] < 0
                and edges[place] > most
                and weights[k] + weights[other] <= heaviest
            ):
                partner, most = other, edges[place]
        joined[k] = joined[partner] = count
        count += 1
    return joined, count


@loop
def _contracted(
    indices: Array, indptr: Array, edges: Array, weights: Array, joined: Array, count: int
) -> tuple[Array, Array, Array, Array]:
    """The graph of `count` coarse nodes: (indices, indptr, edges, weights)."""
    n = len(weights)
    heavy, first, second = np.zeros(count, np.int64), np.full(count, -1), np.full(count, -1)
    for k in range(n):
        c = joined[k]
        heavy[c] += weights[k]
        if first[c] < 0:
            first[c] = k
        else:
            second[c] = k
    ends, at = np.zeros(count + 1, np.int64), np.full(count, -1)
    neighbours, strength = np.empty(len(indices), np.int64), np.empty(len(indices), np.int64)
    filled = 0
    for c in range(count):
        begin = filled
        for k in (first[c], second[c]):
            if k < 0:
                continue
            for place in range(indptr[k], indptr[k + 1]):
                other = joined[indices[place]]
                if other == c:
                    continue
                if at[other] < begin:
                    at[other], neighbours[filled], strength[filled] = filled, other, edges[place]
                    filled += 1
                else:
                    strength[at[other]] += edges[place]
        ends[c + 1] = filled
    return neighbours[:filled].copy(), ends, strength[:filled].copy(), heavy


@loop
def _subgraph(
    indices: Array, indptr: Array, edges: Array, weights: Array, kept: Array
) -> tuple[Array, Array, Array, Array]:
    """The graph of the nodes that are kept."""
    new = np.full(len(weights), -1)
    for k in range(len(kept)):
        new[kept[k]] = k
    ends = np.zeros(len(kept) + 1, np.int64)
    neighbours, strength = np.empty(len(indices), np.int64), np.empty(len(indices), np.int64)
    filled = 0
    for k in range(len(kept)):
        for place in range(indptr[kept[k]], indptr[kept[k] + 1]):
            other = new[indices[place]]
            if other >= 0 and other != k:
                neighbours[filled], strength[filled] = other, edges[place]
                filled += 1
        ends[k + 1] = filled
    return neighbours[:filled].copy(), ends, strength[:filled].copy(), weights[kept]


@loop
def _grown(indices: Array, indptr: Array, edges: Array, weights: Array, start: int) -> Array:
    """Labels, (n,): side 0 grows from node `start` to half of the weight, breadth first; its shore is the separator."""
    n, total = len(weights), weights.sum()
    label, queue = np.ones(n, np.int8), np.empty(n, np.int64)
    seen = np.zeros(n, np.bool_)
    grown, low, high, fresh = 0, 0, 0, start
    while 2 * grown < total:
        if low == high:  # another component
            while seen[fresh % n]:
                fresh += 1
            queue[high], seen[fresh % n] = fresh % n, True
            high += 1
        k = queue[low]
        low += 1
        label[k] = 0
        grown += weights[k]
        for place in range(indptr[k], indptr[k + 1]):
            other = indices[place]
            if not seen[other]:
                queue[high], seen[other] = other, True
                high += 1
    for k in range(n):
        if label[k] == 1:
            for place in range(indptr[k], indptr[k + 1]):
                if label[indices[place]] == 0:
                    label[k] = SEPARATOR
                    break
    return label


@inline
def _cost(part: Array) -> float:
    """What a separator costs: its weight, and more where the sides differ, whose own separators are then larger."""
    return float(part[SEPARATOR] * (1.0 + IMBALANCE * abs(part[0] - part[1]) / (part[0] + part[1] + 1.0)))


@loop
def _refine(indices: Array, indptr: Array, edges: Array, weights: Array, label: Array, most: int) -> float:
    """Improve a separator in place, node by node, also across states that are worse; return its cost.

    A node that leaves the separator for one side draws its neighbours of the other side into it.
    """
    n = len(weights)
    inside, spot = np.empty(n, np.int64), np.full(n, -1)  # the separator, and the place of each node in it
    drawn_by = np.zeros((2, n), np.int64)  # the weight that a node draws in when it goes to side 0 or 1
    moved, sides, upto = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    drawn = np.empty(4 * n, np.int64)  # a node may be drawn in, leave, and be drawn in again
    part = np.zeros(3, np.int64)
    for k in range(n):
        part[label[k]] += weights[k]
    for _ in range(PASSES):
        count, locked = 0, np.zeros(n, np.bool_)
        for k in range(n):
            spot[k] = -1
            if label[k] == SEPARATOR:
                inside[count], spot[k] = k, count
                count += 1
                drawn_by[0, k] = drawn_by[1, k] = 0
                for place in range(indptr[k], indptr[k + 1]):
                    other = indices[place]
                    if label[other] != SEPARATOR:
                        drawn_by[1 - label[other], k] += weights[other]
        least = _cost(part)
        before, n_moves, n_best, n_drawn = least, 0, 0, 0
        while n_moves < n and n_moves - n_best <= PATIENCE:
            chosen, to, gain = -1, 0, 0
            for c in range(count):
                k = inside[c]
                if locked[k]:
                    continue
                for side in range(2):
                    if part[side] + weights[k] > most:
                        continue
                    found = weights[k] - drawn_by[side, k]
                    if chosen < 0 or found > gain or (found == gain and part[side] < part[to]):
                        chosen, to, gain = k, side, found
            if chosen < 0 or n_drawn + indptr[chosen + 1] - indptr[chosen] > len(drawn):
                break
            # it leaves
            locked[chosen] = True
            count -= 1
            inside[spot[chosen]] = inside[count]
            spot[inside[count]] = spot[chosen]
            spot[chosen] = -1
            label[chosen] = to
            part[SEPARATOR] -= weights[chosen]
            part[to] += weights[chosen]
            for place in range(indptr[chosen], indptr[chosen + 1]):
                other = indices[place]
                if label[other] == SEPARATOR:
                    drawn_by[1 - to, other] += weights[chosen]
                elif label[other] == 1 - to:
                    label[other] = SEPARATOR
                    part[1 - to] -= weights[other]
                    part[SEPARATOR] += weights[other]
                    inside[count], spot[other] = other, count
                    count += 1
                    drawn[n_drawn] = other
                    n_drawn += 1
                    drawn_by[0, other] = drawn_by[1, other] = 0
                    for of_other in range(indptr[other], indptr[other + 1]):
                        third = indices[of_other]
                        if label[third] == SEPARATOR:
                            if third != other:
                                drawn_by[to, third] -= weights[other]
                        else:
                            drawn_by[1 - label[third], other] += weights[third]
            moved[n_moves], sides[n_moves], upto[n_moves] = chosen, to, n_drawn
            n_moves += 1
            if _cost(part) < least:
                least, n_best = _cost(part), n_moves
        for k in range(n_moves - 1, n_best - 1, -1):  # back to the best state
            node, side = moved[k], sides[k]
            label[node] = SEPARATOR
            part[side] -= weights[node]
            part[SEPARATOR] += weights[node]
            for j in range(upto[k - 1] if k else 0, upto[k]):
                label[drawn[j]] = 1 - side
                part[SEPARATOR] -= weights[drawn[j]]
                part[1 - side] += weights[drawn[j]]
        if least >= before:
            break
    return _cost(part)
