"""Factors by fronts: their nodes, their panels and L D Lᵀ itself, against dense algebra."""

import os
import subprocess
import sys

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse as sp

from unijam.linalg import Elimination
from unijam.linalg.multifrontal import BLOCK, STRIP, THIN, factorise, solve
from unijam.linalg.symbolic import analyse, graph_of, nodes_of


def particles(n, d, rng):
    """A symmetric matrix of blocks of d × d, without a zero in them, on a random graph of n particles."""
    links = np.triu(rng.random((n, n)) < 4 / n, 1)
    blocks = np.kron(links + links.T + np.eye(n), np.ones((d, d)))
    dense = blocks * rng.uniform(-1.0, 1.0, blocks.shape)
    return dense + dense.T + np.diag(rng.uniform(4, 20, n * d))


def test_the_coordinates_of_a_particle_are_one_node():
    """Panels as wide as allowed and narrower ones, many to a particle, against dense algebra; known patterns again."""
    rng = np.random.default_rng(2)
    for n, d in ((5, 1), (40, 2), (60, 3), (30, 5)):
        links = np.triu(rng.random((n, n)) < 8 / n, 1)
        blocks = np.kron(links + links.T + np.eye(n), np.ones((d, d)))
        dense = blocks * rng.uniform(-1.0, 1.0, blocks.shape)
        shuffled = rng.permutation(n * d)
        dense = (dense + dense.T + 4 * np.diag(rng.uniform(-1, 8, n * d)))[shuffled][:, shuffled]
        matrix, elimination = sp.csc_array(dense), Elimination()
        for shift in (0.0, 2.0, 100.0):
            factor, rhs = elimination.factor(matrix, shift), rng.normal(size=n * d)
            assert len(elimination.order) <= n
            np.testing.assert_allclose(dense @ factor.solve(rhs) + shift * factor.solve(rhs), rhs, atol=1e-8)
            assert factor.n_negative == (np.linalg.eigvalsh(dense) < -shift).sum()


@pytest.mark.parametrize(("n", "d"), [(6, 1), (12, 2), (9, 3), (120, 3)])
@pytest.mark.parametrize("shift", [0.0, 0.7])
def test_the_panels_hold_the_factors_of_the_ordered_matrix(n, d, shift):
    """L and D written out from the panels: P (A + shift) Pᵀ = L D Lᵀ, which is unique for a given order."""
    rng = np.random.default_rng(n)
    dense = particles(n, d, rng)
    matrix = sp.csc_array(dense)
    pattern = matrix.indices, matrix.indptr
    node, first = nodes_of(*pattern)
    assert len(first) == len(set(node.tolist())) <= n
    assert all(
        (dense[:, a] != 0).tolist() == (dense[:, b] != 0).tolist()
        for a in range(n * d)
        for b in range(n * d)
        if node[a] == node[b]
    )
    order = rng.permutation(len(first))
    panels = analyse(*graph_of(*pattern, node, first), order, node)
    assert panels.entries <= panels.offsets[-1]
    values, n_negative = factorise(matrix.data, *pattern, shift, panels)
    size = n * d
    lower = np.zeros((size, size))
    for s in range(len(panels.columns) - 1):
        rows = panels.rows[panels.starts[s] : panels.starts[s + 1]]
        for k, column in enumerate(range(panels.columns[s], panels.columns[s + 1])):
            held = values[panels.offsets[s] + k * len(rows) :][: len(rows)]
            lower[rows[k:], column] = held[k:]
    diagonal = lower.diagonal().copy()
    np.fill_diagonal(lower, 1.0)
    back = np.argsort(panels.place)
    moved = (dense + shift * np.eye(size))[back][:, back]
    np.testing.assert_allclose(lower * diagonal @ lower.T, moved, atol=1e-9)
    assert n_negative == (np.linalg.eigvalsh(moved) < 0).sum() == (diagonal < 0).sum()
    rhs = rng.standard_normal(size)
    expected = scipy.linalg.solve(dense + shift * np.eye(size), rhs)
    np.testing.assert_allclose(solve(values, panels, rhs), expected, rtol=1e-8, atol=1e-10)


def test_the_last_matrices_reach_blocks_strips_and_products():
    """The widest panel of 120 particles in space: loops, blocks, strips and BLAS all take part in the test above."""
    rng = np.random.default_rng(120)
    matrix = sp.csc_array(particles(120, 3, rng))
    node, first = nodes_of(matrix.indices, matrix.indptr)
    order = rng.permutation(len(first))
    panels = analyse(*graph_of(matrix.indices, matrix.indptr, node, first), order, node)
    widths = np.diff(panels.columns)
    assert widths.min() <= THIN < BLOCK < STRIP < widths.max()


def test_updates_wait_in_the_room_that_was_counted():
    """Chains, stars and forests: children of one parent, of many, and none."""
    rng = np.random.default_rng(4)
    for n in (1, 2, 7, 50):
        for kind in ("chain", "star", "forest", "alone"):
            links = np.zeros((n, n))
            for k in range(1, n):
                parent = {"chain": k - 1, "star": 0, "forest": rng.integers(0, k), "alone": k}[kind]
                links[k, parent] = links[parent, k] = -1.0
            dense = links + np.diag(rng.uniform(5, 60, n))
            rhs = rng.standard_normal(n)
            factor = Elimination().factor(sp.csc_array(dense), 0.0)
            np.testing.assert_allclose(factor.solve(rhs), scipy.linalg.solve(dense, rhs), rtol=1e-10)
            assert factor.n_negative == (np.linalg.eigvalsh(dense) < 0).sum()


FACTOR = """
import numpy as np
import scipy.sparse as sp
from unijam.linalg import Elimination
rng = np.random.default_rng(0)
blocks = sp.random_array((60, 60), density=0.1, rng=rng)
matrix = sp.kron(blocks + blocks.T, np.ones((3, 3))) + sp.diags_array(rng.uniform(20, 40, 180))
print(Elimination().factor(sp.csc_array(matrix), 0.0).solve(rng.standard_normal(180)).tobytes().hex())
"""


def test_compiled_code_and_code_that_is_loaded_give_the_same_bits(tmp_path):
    """The second process loads what the first has compiled, and stored in a folder that was empty."""
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    runs = [
        subprocess.run(
            [sys.executable, "-c", FACTOR], env=environment, capture_output=True, text=True, check=True
        )
        for _ in range(2)
    ]
    assert runs[0].stdout == runs[1].stdout != ""
