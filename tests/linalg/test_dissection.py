"""Nested dissection: separators separate, orders are permutations, and in space L is sparser than by minimum degree."""

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.spatial import cKDTree

from unijam.linalg.dissection import LEAF, SEPARATOR, UNEVEN, Graph, _separator, dissected, least_degree
from unijam.linalg.symbolic import analyse


def lattice(*sides):
    """The neighbours on a periodic lattice, (indices, indptr), each site its own neighbour, and the number of sites."""
    number = np.arange(np.prod(sides)).reshape(sides)
    pairs = [(number, number)]
    for axis in range(len(sides)):
        pairs += [(number, np.roll(number, 1, axis)), (np.roll(number, 1, axis), number)]
    i, j = (np.concatenate([pair[k].ravel() for pair in pairs]) for k in (0, 1))
    graph = sp.csc_array((np.ones(len(i)), (i, j)))
    graph.sum_duplicates()
    return graph.indices, graph.indptr


def entries(graph, order):
    """The number of entries of L."""
    indices, indptr = graph
    return analyse(indices, indptr, order, np.arange(len(order))).entries


@pytest.mark.parametrize("sides", [(3,), (500,), (25, 25), (9, 60), (10, 10, 10)])
def test_a_separator_leaves_no_edge_between_its_sides(sides):
    indices, indptr = lattice(*sides)
    n = len(indptr) - 1
    label = _separator(Graph(indices, indptr, np.ones(len(indices), np.int64), np.ones(n, np.int64)))
    rows = np.repeat(np.arange(n), np.diff(indptr))
    assert not ((label[rows] == 0) & (label[indices] == 1)).any()
    assert max((label == side).sum() for side in (0, 1)) <= UNEVEN * n + 1
    smallest = {1: 2, 2: 2 * min(sides), 3: 2 * min(sides) ** 2}[len(sides)]  # two straight cuts of the torus
    assert (label == SEPARATOR).sum() <= 1.3 * smallest


@pytest.mark.parametrize(("n", "dimension"), [(2000, 3), (4000, 3)])
def test_in_space_l_is_sparser_than_by_minimum_degree(n, dimension):
    """Random points in a periodic cube, each linked to about 14 neighbours. In the plane both orders are as good."""
    points = np.random.default_rng(0).random((n, dimension))
    reach = (14 * 3 / (4 * np.pi) / n) ** (1 / 3)
    near = cKDTree(points, boxsize=1.0)
    graph = sp.csc_array(near.sparse_distance_matrix(near, reach, output_type="coo_matrix") + sp.eye_array(n))
    order = dissected(graph.indices, graph.indptr, np.ones(n, np.int64))
    assert sorted(order) == list(range(n))
    pattern = graph.indices, graph.indptr
    assert entries(pattern, order) < entries(pattern, np.argsort(least_degree(*pattern)))


@pytest.mark.parametrize("kind", ["one", "no edges", "star", "complete", "two pieces"])
def test_graphs_of_any_form_have_an_order(kind):
    n = 1 if kind == "one" else 3 * LEAF
    dense = np.eye(n)
    if kind == "star":
        dense[0] = dense[:, 0] = 1.0
    elif kind == "complete":
        dense[:] = 1.0
    elif kind == "two pieces":
        dense[: n // 2, : n // 2] = dense[n // 2 :, n // 2 :] = 1.0
    graph = sp.csc_array(dense)
    order = dissected(graph.indices, graph.indptr, np.ones(n, np.int64))
    assert sorted(order) == list(range(n))
    if kind == "star":
        assert entries((graph.indices, graph.indptr), order) == 2 * n - 1
