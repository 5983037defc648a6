"""Any torch module: derivatives against torch.func, micro-batches against the whole, symmetries, bad input."""

import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn

import unijam as uj
from unijam.core.derivatives import gradient, hessian

P = 11
EXACT = {"atol": 1e-10, "rtol": 1e-10}


class Residual(nn.Module):
    """Two blocks h + W tanh(h) with a normalisation, and a head."""

    def __init__(self, outputs=1):
        super().__init__()
        self.first, self.blocks = nn.Linear(5, 4), nn.ModuleList([nn.Linear(4, 4) for _ in range(2)])
        self.norm, self.head = nn.LayerNorm(4), nn.Linear(4, outputs)

    def forward(self, x):
        h = self.first(x)
        for block in self.blocks:
            h = h + block(torch.tanh(h))
        return self.head(self.norm(h)).squeeze(-1)


class Attention(nn.Module):
    """Heads that attend to the columns of a small picture."""

    def __init__(self):
        super().__init__()
        self.attend, self.head = nn.MultiheadAttention(4, 2, batch_first=True), nn.Linear(4, 1)

    def forward(self, x):
        return self.head(self.attend(x, x, x, need_weights=False)[0].mean(1))


def convolutional(outputs=1, activation=nn.ReLU, groups=1):
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), activation(), nn.MaxPool2d(2)),
        nn.Conv2d(4, 6, 2, groups=groups, bias=False),
        activation(),
        nn.Flatten(),
        nn.Linear(6, 3),
        activation(),
        nn.Linear(3, outputs),
    )


def sequential(*widths, activation=nn.ReLU, outputs=1):
    layers = []
    for i, j in itertools.pairwise(widths):
        layers += [nn.Linear(i, j), activation()]
    return nn.Sequential(*layers, nn.Linear(widths[-1], outputs))


MODULES = {
    "relu": (lambda: sequential(5, 6, 4), (5,), 10),
    "tanh": (lambda: sequential(5, 6, activation=nn.Tanh), (5,), 0),
    "classes": (lambda: sequential(5, 4, outputs=3), (5,), 4 + 5),
    "convolutions": (convolutional, (1, 4, 4), 13),
    "groups": (lambda: convolutional(3, groups=2), (1, 4, 4), 13 + 4),
    "smooth convolutions": (lambda: convolutional(activation=nn.SiLU), (1, 4, 4), 0),
    "residual": (Residual, (5,), 0),
    "heads": (Attention, (3, 4), 0),
}


def network(name, **options):
    """A module, random data, and weights off their start in float64."""
    make, shape, _ = MODULES[name]
    torch.manual_seed(3)
    module = make()
    random = np.random.default_rng(1)
    inputs, outputs = random.standard_normal((P, *shape)), 3 if name in ("classes", "groups") else 1
    labels = np.arange(P) % 3 if outputs > 1 else np.where(np.arange(P) % 2, 1, -1)
    system = uj.Network(module, inputs, labels, **options)
    noise = torch.from_numpy(random.standard_normal(system.n_dof))
    return system, system.initial + 0.2 * noise, noise.flip(0)


def reference(system):
    """Δ(x) by a loop over data and classes, differentiable."""

    def delta(x):
        f, labels = system.output(x, system.inputs), system.labels.long().tolist()
        if f.ndim == 1:
            return system.margin - system.labels * f
        rows = [
            row[c] - row[y] for row, y in zip(f, labels, strict=True) for c in range(f.shape[1]) if c != y
        ]
        return system.margin + torch.stack(rows)

    return delta


def second_derivatives(function, x):
    """∇∇ of a scalar function, row by row by torch.autograd (vmap over LayerNorm's double backward is wrong in torch
    2.13: off by 4.7 against finite differences).
    """
    leaf = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(function(leaf), leaf, create_graph=True)
    return torch.stack([torch.autograd.grad(s, leaf, retain_graph=True)[0] for s in slope])


@pytest.mark.parametrize("name", MODULES)
def test_derivatives_against_autograd(name):
    system, x, v = network(name)
    delta, c = reference(system), system.constraints(x)
    w = torch.linspace(-1, 1, len(c.delta), dtype=torch.float64)
    torch.testing.assert_close(c.delta, delta(x), **EXACT)
    jacobian = torch.func.jacrev(delta)(x)
    torch.testing.assert_close(c.jacobian(), jacobian, **EXACT)
    torch.testing.assert_close(c.jacobian(w > 0.3), jacobian[w > 0.3], **EXACT)
    torch.testing.assert_close(c.vjp(w), jacobian.T @ w, **EXACT)
    torch.testing.assert_close(c.jvp(v), jacobian @ v, **EXACT)
    torch.testing.assert_close(c.curvature(w), second_derivatives(lambda y: w @ delta(y), x), **EXACT)
    assert c.members.shape[0] == len(c.delta)
    u, g, square, n_overlaps = system.evaluator()(x)
    force = delta(x).clamp_min(0)
    assert [u, square] == pytest.approx([float(force @ force) / 2, float(force @ force)], rel=1e-10)
    assert n_overlaps == int((force > 0).sum()) == int(c.overlaps.sum())
    torch.testing.assert_close(g, gradient(system, c), **EXACT)


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("coupled", [False, True])
def test_products_are_those_of_the_matrices(name, coupled):
    system, x, v = network(name)
    if coupled:
        if name not in ("classes", "groups"):
            return
        system = system.at(potential=uj.CrossEntropy(classes=3))
    free = system.at(dense_limit=0)
    assert free.matrix_free and not system.matrix_free
    dense = hessian(system, system.constraints(x))
    products = hessian(free, free.constraints(x))
    for matrix, product in zip((*dense, sum(dense)), (*products, products[0] + products[1]), strict=True):
        torch.testing.assert_close(product @ v, matrix @ v, **EXACT)
    torch.testing.assert_close(products[1].dense(), dense[1], **EXACT)


@pytest.mark.parametrize("name", ["relu", "groups", "residual"])
def test_micro_batches_are_the_whole_to_rounding(name):
    """In the least memory that one datum takes."""
    system, x, v = network(name)
    with pytest.raises(
        ValueError, match=r"memory_limit = 1 is not valid: it must be at least \d+ bytes"
    ) as error:
        system.at(memory_limit=1)
    least = int(str(error.value).split("at least ")[1].split(" ")[0])
    small = system.at(memory_limit=least, dense_limit=0)
    assert small.function.data_within(least, small.inputs) == 1
    whole, part = system.constraints(x), small.constraints(x)
    w = torch.linspace(-1, 1, len(whole.delta), dtype=torch.float64)
    rounding = {"atol": 1e-13, "rtol": 1e-13}
    torch.testing.assert_close(part.delta, whole.delta, **rounding)
    torch.testing.assert_close(part.vjp(w), whole.vjp(w), **rounding)
    torch.testing.assert_close(part.jvp(v), whole.jvp(v), **rounding)
    torch.testing.assert_close(part.jacobian(), whole.jacobian(), **rounding)
    torch.testing.assert_close(part.curvature(w) @ v, whole.curvature(w) @ v, atol=1e-12, rtol=1e-12)
    torch.testing.assert_close(small.evaluator()(x)[1], system.evaluator()(x)[1], **rounding)


@pytest.mark.parametrize("name", MODULES)
def test_symmetries_of_chains_are_exact_and_others_have_none(name):
    """J G x = 0 and H G x + Gᵀ∇U = 0; G is diagonal, with entries 1, −1, 0, for rescalings, and constant for shifts."""
    system, x, _ = network(name)
    c, moves = system.constraints(x), system.symmetries(x)
    assert len(moves) == MODULES[name][2] == np.linalg.matrix_rank(moves)
    total, force = sum(hessian(system, c)), gradient(system, c)
    for move in moves:
        assert float(c.jvp(move).abs().max()) < 1e-10
        rescaling = bool(((move == 0) | (move == x) | (move == -x)).all())
        pull = torch.where(move == x, 1.0, -1.0) * (move != 0) * force if rescaling else 0.0 * force
        assert float((total @ move + pull).abs().max()) < 1e-10
    torch.testing.assert_close(system.at(dense_limit=0).symmetries(x).to_dense(), moves)


@pytest.mark.parametrize("name", ["relu", "classes", "convolutions", "groups"])
def test_the_gauge_balances_units_and_changes_no_delta(name):
    system, x, _ = network(name)
    kept = system.canonical(x)
    torch.testing.assert_close(system.constraints(kept).delta, system.constraints(x).delta, **EXACT)
    assert system.canonical(kept) is kept and not torch.equal(kept, x)
    # in the balanced gauge |x|² is stationary along every symmetry
    assert float((system.symmetries(kept) @ kept).abs().max()) < 1e-12


def test_a_sequential_module_is_the_fully_connected_network():
    plain = uj.FullyConnected.random(
        depth=2, width=5, input_dimension=4, n_data=30, activation="relu", weights="free"
    )
    module = sequential(4, 5, 5)
    parts = [
        part.view(shape) for part, shape in zip(plain.initial.split(plain.sizes), plain.shapes, strict=True)
    ]
    for layer, theta in zip((module[0], module[2], module[4]), parts, strict=True):
        layer.weight.data, layer.bias.data = theta[:, :-1].clone(), theta[:, -1].clone()
    system = uj.Network(module, plain.inputs, plain.labels)
    torch.testing.assert_close(
        system.constraints(system.initial).delta, plain.constraints(plain.initial).delta, **EXACT
    )
    ours, theirs = uj.count_constraints(system, system.initial), uj.count_constraints(plain, plain.initial)
    assert (ours.n_overlaps, ours.n_effective) == (theirs.n_overlaps, theirs.n_effective)
    spectra = [uj.decompose_hessian(s, s.initial).eigenvalues() for s in (system, plain)]
    np.testing.assert_allclose(spectra[0], spectra[1], atol=1e-10)


def test_convolutions_are_trained_and_handed_back():
    system, _, _ = network("smooth convolutions")
    result = uj.minimize(system)
    assert result.status == "satisfied"
    trained = system.trained(result.x)
    with torch.no_grad():
        outputs = trained(system.inputs)[:, 0]
    assert bool((outputs * system.labels > 1 - 1e-6).all())
    assert all(p.requires_grad for p in trained.parameters())


def test_threads_do_not_disturb_each_other():
    """One network or several: torch's forward mode and a module's parameters are not of the thread."""
    torch.manual_seed(0)
    networks = [
        uj.Network(sequential(5, 3, activation=nn.Tanh), torch.randn(40, 5), torch.randn(40).sign())
        for _ in range(3)
    ]
    starts = [networks[0].initial + 0.3 * k for k in range(3)]
    newton = uj.LevenbergMarquardt(max_steps=15, prestress=True)

    def work(k):
        same = networks[0].evaluator()
        energies = [same(starts[k])[0] for _ in range(100)]
        return set(energies), uj.minimize(networks[k], None, newton).energy

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(work, range(3))) == [work(k) for k in range(3)]


def test_frozen_and_shared_parameters():
    module = sequential(5, 5, 5)
    module[0].bias.requires_grad_(False)
    module[2].weight = module[0].weight
    system = uj.Network(module, torch.randn(4, 5), [1, -1, 1, -1])
    assert system.n_dof == 25 + 5 + 6 and len(system.symmetries(system.initial)) == 0
    assert module[0].weight.dtype != torch.float64  # the module given stays as it was
    x = system.initial + 0.1
    delta = reference(system)
    torch.testing.assert_close(system.constraints(x).jacobian(), torch.func.jacrev(delta)(x), **EXACT)


def test_single_precision_agrees_to_its_rounding():
    system, x, v = network("convolutions")
    single, _, _ = network("convolutions", dtype="float32")
    c, s = system.constraints(x), single.constraints(x.float())
    assert s.delta.dtype == torch.float32
    torch.testing.assert_close(s.delta.double(), c.delta, atol=1e-5, rtol=1e-5)
    w = torch.linspace(-1, 1, P, dtype=torch.float64)
    torch.testing.assert_close(
        (s.curvature(w.float()) @ v.float()).double(), c.curvature(w) @ v, atol=1e-4, rtol=1e-4
    )


def test_tokens_stay_integers():
    module = nn.Sequential(nn.Embedding(7, 3), nn.Flatten(), nn.Linear(12, 1))
    system = uj.Network(module, [[0, 1, 2, 3], [3, 4, 5, 6], [6, 6, 0, 0]], [1, -1, 1])
    assert system.n_dof == 21 + 13 and system.constraints(system.initial).delta.shape == (3,)


def test_mini_batches_and_subsets():
    system, x, _ = network("groups")
    part = system.subset(slice(2, 7))
    torch.testing.assert_close(part.constraints(x).delta, system.constraints(x).delta[2 * 2 : 7 * 2])
    result = uj.minimize(system, solver=uj.Adam(batch_size=4, max_steps=20))
    assert result.status == "step-limit" and result.energy < uj.energy(
        system, system.constraints(system.initial)
    )


class Coupled(nn.Linear):
    def forward(self, x):
        return super().forward(x - x.mean(0))


class Noisy(nn.Linear):
    def forward(self, x):
        return super().forward(x + torch.randn_like(x))


class Same(nn.Module):
    """A module whose output has the wrong shape."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(5, 2)

    def forward(self, x):
        return self.layer(x)[:, None]


def data(n=6, **changes):
    given = {
        "module": nn.Linear(5, 1),
        "inputs": np.ones((n, 5)),
        "labels": np.where(np.arange(n) % 2, 1, -1),
    }
    return given | changes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"module": Same()}, r"the shape of Same's output for 3 data = \(3, 1, 2\)"),
        ({"module": nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))}, "the mode of BatchNorm1d '1'"),
        ({"module": nn.Sequential(nn.Dropout(0.1), nn.Linear(5, 1))}, "the mode of Dropout '0'"),
        ({"module": Coupled(5, 1), "inputs": np.random.default_rng(0).random((6, 5))}, "not depend on the other data"),
        ({"module": Noisy(5, 1)}, "one whose output is not random"),
        ({"module": nn.Linear(5, 1).half()}, "the precision of weight = 'torch.float16'"),
        ({"module": nn.Linear(4, 1)}, "Linear does not take it"),
        ({"module": nn.ReLU()}, "trainable parameters"),
        ({"module": "net"}, "a torch.nn.Module"),
        ({"labels": np.arange(6)}, r"labels = \[0.0\]"),
        ({"module": nn.Linear(5, 3), "labels": np.arange(6)}, "from 0 to 2 for every datum"),
        ({"labels": [1, -1]}, r"the shape of labels = \(2,\)"),
        ({"inputs": np.ones((0, 5)), "labels": []}, "n_data = 0"),
        ({"inputs": np.full((6, 5), np.nan)}, "inputs has 30 entries that are NaN"),
        ({"inputs": np.ones((6, 5), dtype=np.float16)}, "the precision of inputs = 'torch.float16'"),
        ({"inputs": np.ones(6)}, r"the shape of inputs = \(6,\)"),
        ({"dtype": "float16"}, "dtype = 'float16'"),
        ({"memory_limit": 0}, "memory_limit = 0"),
        ({"potential": uj.CrossEntropy(classes=10)}, "one of 2 classes"),
        ({"potential": "hinge"}, "potential = 'hinge'"),
        ({"margin": np.inf}, "margin = inf"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_bad_input_is_answered_by_one_sentence(changes, message):
    with pytest.raises(ValueError, match=message) as error:
        uj.Network(**data(**changes))
    assert "\n" not in str(error.value) and str(error.value).endswith(".")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_no_cuda_device():
    with pytest.raises(ValueError, match="device = 'cuda'"):
        uj.Network(**data(device="cuda"))


@pytest.mark.slow
def test_a_large_module_keeps_to_its_memory_and_its_symmetries():
    """N = 101 561 in 60 MB: a product is symmetric, H G x + Gᵀ∇U = 0, and three Newton steps lower U."""
    torch.manual_seed(0)
    system = uj.Network(
        sequential(40, 240, 240, 140),
        torch.randn(200, 40),
        torch.arange(200) % 2 * 2 - 1,
        memory_limit=60_000_000,
    )
    x = system.initial
    assert system.matrix_free and system.n_dof > 100_000
    c = system.constraints(x)
    h0, hp = hessian(system, c)
    v, w = (torch.randn(system.n_dof, dtype=torch.float64) for _ in range(2))
    assert float(w @ (hp @ v)) == pytest.approx(float(v @ (hp @ w)), rel=1e-9)
    moves = system.symmetries(x)
    assert moves.is_sparse and len(moves) == 620
    move = moves[7].to_dense()
    pull = torch.where(move == x, 1.0, -1.0) * (move != 0) * gradient(system, c)
    torch.testing.assert_close((h0 + hp) @ move, -pull, atol=1e-10, rtol=0)
    result = uj.minimize(system, solver=uj.TrustRegionNewton(max_steps=3))
    assert result.energy < 0.5 * uj.energy(system, c)
