"""Counts of large sparse states by inertia, and their extreme eigenvalues by sparse solves, against dense matrices."""

import pickle
from functools import cache

import numpy as np
import pytest
import scipy.sparse as sp

import unijam as uj
from unijam.linalg.saddle import Saddle, falls
from unijam.spectra import decomposition
from unijam.spectra.sparse_form import GAP, SparseForm

KINDS = {
    "discs": lambda n, seed: uj.SoftSpheres.random(n=n, radii="uniform", packing_fraction=0.9, seed=seed),
    "ellipses": lambda n, seed: uj.Ellipses.random(
        n=n, aspect_ratio=1.4, packing_fraction=0.95, radii="uniform", seed=seed
    ),
    "spheres": lambda n, seed: uj.SoftSpheres.random(
        n=n, dimension=3, radii="uniform", packing_fraction=0.7, seed=seed
    ),
}


@cache
def settled(kind, n, seed, pressure):
    return uj.jam(KINDS[kind](n, seed), pressure=pressure).settled()


def both(state, monkeypatch, fraction=None):
    """The decomposition by dense matrices, all of it computed, and the same by sparse factors."""
    found = []
    for least in (10**9, 0):
        monkeypatch.setattr(decomposition, "SMALL", least)
        h = uj.decompose_hessian(state.system, state.x)
        h = h if fraction is None else h.cut(fraction)
        signs, values = h.kernel_signs(), h.kernel_prestress()
        found.append((h, signs, values, h.n_negative_hp, h.n_self_stress))
    return found


def compare(state, monkeypatch, fraction=None):
    """Equal counts, and equal eigenvalues to what the balance of the state allows."""
    (dense, *exact), (sparse, *found) = both(state, monkeypatch, fraction)
    assert found[0] == exact[0]  # signs
    assert found[2:] == exact[2:]  # N_− of Hp, states of self stress
    assert exact[0].n_self_stress == dense.self_stress.shape[1]
    assert exact[0].dimension == dense.kernel.shape[1] == len(found[1])
    scale = np.abs(dense.hp.diagonal()).mean()
    np.testing.assert_allclose(found[1], exact[1], atol=1e-6 * scale)
    for lowest in (True, False):
        values, residuals = sparse.extreme_eigenvalues("kernel", 3, lowest=lowest)
        wanted = exact[1][:3] if lowest else exact[1][-3:]
        np.testing.assert_allclose(values, wanted, atol=1e-6 * scale)
        assert (residuals <= 1e-4 * scale).all()
    return exact[0]


@pytest.mark.parametrize(("kind", "pressure"), [("discs", 1e-3), ("ellipses", 1e-3), ("ellipses", 1e-6)])
def test_counts_by_inertia_are_those_of_dense_matrices(kind, pressure, monkeypatch):
    state = settled(kind, 40, 0, pressure)
    whole = compare(state, monkeypatch)
    assert (whole.dimension == 0) if kind == "discs" else (whole.n_positive == whole.dimension > 0)
    cut = compare(state, monkeypatch, fraction=0.1 if kind == "ellipses" else 0.3)
    assert cut.n_negative > 0


@pytest.mark.slow
@pytest.mark.parametrize("exponent", range(2, 9))
@pytest.mark.parametrize("kind", ["discs", "ellipses", "spheres"])
def test_counts_by_inertia_at_all_pressures(kind, exponent, monkeypatch):
    """63 states, of n = 64 to 128 and p = 1e-2 to 1e-8, whole and with a tenth of the contacts cut."""
    for seed, n in enumerate((64, 96, 128)):
        state = settled(kind, n, seed, 10.0**-exponent)
        compare(state, monkeypatch)
        compare(state, monkeypatch, fraction=0.1)


@pytest.fixture(scope="module")
def ellipses():
    """A state of 40 ellipses, decomposed."""
    state = settled("ellipses", 40, 0, 1e-3)
    return uj.decompose_hessian(state.system, state.x)


@pytest.fixture
def large(monkeypatch, ellipses):
    """The same state, taken for a large one."""
    monkeypatch.setattr(decomposition, "SMALL", 0)
    return uj.decompose_hessian(ellipses._system, ellipses._x)


@pytest.mark.parametrize("lowest", [True, False])
@pytest.mark.parametrize("which", ["h0", "hp", "total", "kernel"])
def test_extreme_eigenvalues_are_those_of_dense_matrices(ellipses, large, which, lowest):
    values, residuals = large.extreme_eigenvalues(which, 4, lowest=lowest)
    h = uj.decompose_hessian(ellipses._system, ellipses._x)
    matrix = h.kernel.T @ h.hp @ h.kernel if which == "kernel" else getattr(h, which).toarray()
    exact = np.linalg.eigvalsh(matrix)
    if which != "kernel":  # translations
        exact = np.delete(exact, np.argsort(abs(exact))[:2])
    wanted, scale = exact[:4] if lowest else exact[-4:], abs(exact).max()
    np.testing.assert_allclose(values, wanted, atol=1e-8 * scale)
    assert (residuals <= 1e-5 * scale).all()


def test_spectra_hold_exact_counts_in_their_intervals(ellipses, large):
    """Of 12 intervals of 95 %, at most two may miss."""
    missed = 0
    for which in ("h0", "hp", "total", "kernel"):
        exact = (
            ellipses.kernel_prestress()
            if which == "kernel"
            else ellipses.eigenvalues(which, symmetries=False)
        )
        spectrum = large.spectrum(which, n_probes=12, steps=30)
        assert spectrum.size == len(exact)
        for quantile in (0.3, 0.6, 0.9):
            threshold = np.quantile(exact, quantile) + 1e-6 * abs(exact).max()
            count = spectrum.below(threshold)
            missed += not count.low <= (exact < threshold).sum() <= count.high
    assert missed <= 2


def test_a_large_decomposition_can_be_pickled(large):
    signs, values = large.kernel_signs(), large.extreme_eigenvalues("kernel", 2)[0]
    again = pickle.loads(pickle.dumps(large))
    assert again.kernel_signs() == signs
    np.testing.assert_allclose(again.extreme_eigenvalues("kernel", 2)[0], values, rtol=1e-9)


def test_equal_eigenvalues_are_all_found():
    """Seven modes of the lowest eigenvalue and twelve of the highest: Lanczos' method alone finds some of them."""
    values = np.concatenate([np.full(7, -1.0), np.linspace(0.1, 1.0, 60), np.full(12, 2.0)])
    form = SparseForm(sp.csc_array(sp.diags(values)), sp.csr_array((0, 79)), np.empty((0, 79)))
    assert (form.n_negative, form.n_zero, form.n_positive) == (7, 0, 72)
    np.testing.assert_allclose(form.extremes(8, True)[0], values[:8], atol=1e-9)
    np.testing.assert_allclose(form.extremes(5, False)[0], values[-5:], atol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_a_form_on_the_kernel_of_dependent_rows(seed):
    """Indefinite forms and dependent rows of 30 points in the plane, with two translations: by an explicit basis."""
    random = np.random.default_rng(seed)
    n, m = 60, 45
    pairs = np.array([random.choice(30, 2, replace=False) for _ in range(m)])
    places = [2 * pairs[:, 0], 2 * pairs[:, 0] + 1, 2 * pairs[:, 1], 2 * pairs[:, 1] + 1]

    def differences(x, y):
        """Rows x (x_i − x_j) + y (y_i − y_j) of the pairs."""
        values = np.concatenate([x, y, -x, -y])
        return sp.csr_array((values, (np.tile(np.arange(m), 4), np.concatenate(places))), shape=(m, n))

    links = differences(*random.standard_normal((2, m)))
    rows = sp.csr_array(sp.vstack([links, links[:5] + 0.5 * links[5:10]]))
    bends = differences(*random.standard_normal((2, m)))
    form = sp.csc_array(bends.T @ sp.diags(random.standard_normal(m)) @ bends)
    directions = np.zeros((2, n))
    directions[0, ::2] = directions[1, 1::2] = 30**-0.5
    sigma, basis = np.linalg.svd(np.vstack([rows.toarray(), directions]), full_matrices=True)[1:]
    kernel = basis[int((sigma > 1e-10).sum()) :].T
    exact = np.linalg.eigvalsh(kernel.T @ form @ kernel)
    found = SparseForm(form, rows, directions)
    far = 1e-10 * abs(exact).max()  # points without a bend are zero modes
    below, above = (exact < -far).sum(), (exact > far).sum()
    counts = (found.n_negative, found.n_zero, found.n_positive)
    assert counts == (below, len(exact) - below - above, above)
    np.testing.assert_allclose(found.extremes(3, True)[0], exact[:3], atol=1e-8)
    v = random.standard_normal(n)
    softest = np.linalg.svd(rows.toarray(), compute_uv=False)
    left = GAP * found.epsilon * found.saddle.unit / softest[softest > 1e-10].min() ** 2
    inside = kernel @ (kernel.T @ v)
    assert np.linalg.norm(found.project(v) - inside) <= (2 * left + 1e-8) * np.linalg.norm(v - inside)


def test_rows_without_a_gap_are_answered_by_a_sentence():
    sigma = 10.0 ** -np.linspace(0, 7, 40)  # six a decade, down to rounding
    with pytest.raises(ValueError, match=r"^the signs on the kernel cannot be told: .*force balance\.$"):
        SparseForm(sp.csc_array(sp.eye(40)), sp.csr_array(sp.diags(sigma)), np.empty((0, 40)))


@pytest.mark.parametrize("size", [1e-6, 1e-3, 0.3, 3.0])
@pytest.mark.parametrize("seed", range(10))
def test_a_factor_that_rounding_has_spoilt_is_noticed(seed, size):
    """The factor of another matrix stands for a rounded one: where it is accepted, the inertia is the same."""
    random = np.random.default_rng(seed)
    n = 40
    matrix, error = (a + a.T for a in random.standard_normal((2, n, n)))
    error *= size * abs(np.linalg.eigvalsh(matrix)).min() / abs(np.linalg.eigvalsh(error)).max()
    saddle = Saddle(sp.csr_array((0, n)), sp.csc_array(matrix + error), np.empty((0, n)))
    factor = saddle.factor(1.0, 0.0, 1.0)._factor
    accepted = falls(sp.csc_array(matrix / saddle.scale), factor)
    assert accepted == (size < 0.1) or size == 0.3
    if accepted:
        assert factor.n_negative == (np.linalg.eigvalsh(matrix) < 0).sum()
