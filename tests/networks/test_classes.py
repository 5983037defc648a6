"""C > 2 classes: Δ_μc = κ + z_c − z_y, hinge and cross-entropy, against torch's own functions and derivatives."""

import itertools

import numpy as np
import pytest
import torch

import unijam as uj
from tests.networks.points import moved
from unijam.networks import FullyConnected

KINDS = list(itertools.product(("tanh", "softplus", "relu"), ("spherical", "free"), (True, False), (0, 1, 2)))
EXACT = {"atol": 1e-10, "rtol": 1e-10}
C = 4


def network(activation="tanh", weights="free", bias=True, depth=2, n_data=17, **more):
    random = np.random.default_rng(5)
    inputs, labels = random.standard_normal((n_data, 3)), random.permutation(np.arange(n_data) % C)
    options = {"width": 5, "beta": 2.0, "seed": 3, "n_classes": C, **more}
    return FullyConnected.from_data(
        inputs, labels, depth, activation=activation, weights=weights, bias=bias, **options
    )


def logits(system):
    """z (P, C) by plain torch operations, differentiable."""
    sigma = {"tanh": torch.tanh, "relu": torch.relu}.get(
        system.activation, lambda z: torch.logaddexp(torch.zeros_like(z), system.beta * z) / system.beta
    )

    def z(x):
        h, start = system.inputs, 0
        for l, units in enumerate((*system.widths, C)):
            columns = h.shape[1] + system.bias
            theta = x[start : start + units * columns].reshape(units, columns)
            start += units * columns
            if system.weights == "spherical":
                theta = system.radii[l] * theta / (theta * theta).sum().sqrt()
            out = h @ theta[:, : h.shape[1]].T + (theta[:, -1] if system.bias else 0.0)
            h = sigma(out)
        return out

    return z


def distances(system):
    """Δ by a loop over data and wrong classes."""
    z = logits(system)

    def delta(x):
        out, labels = z(x), system.labels.long().tolist()
        return torch.stack(
            [
                system.margin + row[c] - row[y]
                for row, y in zip(out, labels, strict=True)
                for c in range(C)
                if c != y
            ]
        )

    return delta


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_derivatives_of_the_distances(kind):
    system = network(*kind, margin=0.7)
    x, delta = moved(system), distances(system)
    random = torch.Generator().manual_seed(2)
    w = torch.randn(17 * (C - 1), generator=random, dtype=torch.float64)
    w[::3] = 0.0
    v, c = moved(system, 1.0), system.constraints(x)
    torch.testing.assert_close(c.delta, delta(x), **EXACT)
    jacobian = torch.func.jacrev(delta)(x)
    torch.testing.assert_close(c.jacobian(), jacobian, **EXACT)
    torch.testing.assert_close(c.jacobian(w > 0), jacobian[w > 0], **EXACT)
    torch.testing.assert_close(c.vjp(w), jacobian.T @ w, **EXACT)
    torch.testing.assert_close(c.jvp(v), jacobian @ v, **EXACT)
    torch.testing.assert_close(c.stiffness(w), jacobian.T @ (w[:, None] * jacobian), **EXACT)
    torch.testing.assert_close(c.curvature(w), torch.func.hessian(lambda y: w @ delta(y))(x), **EXACT)
    total = torch.func.hessian(lambda y: system.potential.energy(delta(y)).sum())(x)
    torch.testing.assert_close(sum(uj.hessian(system, c)), total, **EXACT)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_cross_entropy_is_torchs(kind):
    """U, ∇U, H against torch.nn.functional.cross_entropy; H0 is the generalised Gauss-Newton matrix."""
    system = network(*kind, potential=uj.CrossEntropy(C))
    assert system.margin == 0.0 and system.control is None
    x, z = moved(system), logits(system)

    def loss(y):
        return torch.nn.functional.cross_entropy(z(y), system.labels.long(), reduction="sum")

    c = system.constraints(x)
    h0, hp = uj.hessian(system, c)
    assert uj.energy(system, c) == pytest.approx(float(loss(x)), rel=1e-13)
    torch.testing.assert_close(uj.gradient(system, c), torch.func.grad(loss)(x), **EXACT)
    torch.testing.assert_close(h0 + hp, torch.func.hessian(loss)(x), **EXACT)
    jacobian, p = torch.func.jacrev(z)(x), z(x).softmax(1)
    softmax = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    ggn = torch.einsum("pcn,pcd,pdm->nm", jacobian, softmax, jacobian)
    torch.testing.assert_close(h0, ggn, **EXACT)
    u, gradient, square, n_overlaps = system.evaluator()(x)
    assert u == pytest.approx(float(loss(x)), rel=1e-13)
    torch.testing.assert_close(gradient, uj.gradient(system, c), **EXACT)
    wrong = (z(x) > z(x).gather(1, system.labels.long()[:, None])).sum()
    assert n_overlaps == int(wrong) == int((c.delta > 0).sum())
    assert square == pytest.approx(float(system.potential.force(c.delta).square().sum()))


@pytest.mark.parametrize("weights", ["spherical", "free"])
def test_parts_of_the_batch_make_the_same_matrices(weights, monkeypatch):
    system = network(weights=weights, potential=uj.CrossEntropy(C))
    x = moved(system)
    whole = uj.hessian(system, system.constraints(x))
    monkeypatch.setattr("unijam.networks.layered.passes.CHUNK", 100)
    for part, matrix in zip(uj.hessian(system, system.constraints(x)), whole, strict=True):
        torch.testing.assert_close(part, matrix, atol=1e-12, rtol=0)


def test_members_are_data_and_wrong_classes():
    system = network()
    members = system.constraints(system.initial).members
    assert members.shape == (17 * 3, 2) and len(torch.unique(members, dim=0)) == 17 * 3
    assert not (members[:, 1] == system.labels[members[:, 0]]).any()
    assert members[:, 0].tolist() == [k // 3 for k in range(51)]


@pytest.mark.parametrize("kind", [k for k in KINDS if k[3] < 2], ids=str)  # deeper nets have silent units
def test_symmetries_are_the_whole_kernel_of_many_constraints(kind):
    """Shifts of all outputs by the same function, with what the binary net has."""
    activation, weights, bias, depth = kind
    system = network(*kind, n_data=500)
    x = moved(system, 0.05)
    z, jacobian = system.symmetries(x), system.constraints(x).jacobian()
    shifts = (5 if depth else 3) + bias
    rescaled = 5 if activation == "relu" and depth else 0
    on_spheres = (
        depth + 1 - (1 + bool(rescaled))
    )  # radial directions, less one condition a layer that moves change
    assert len(z) == shifts + rescaled + (on_spheres if weights == "spherical" else 0)
    assert torch.linalg.matrix_rank(z) == len(z)
    sigma = torch.linalg.svdvals(jacobian)
    assert float((jacobian @ z.T).abs().max()) < 1e-12
    assert int((sigma < 1e-12 * sigma[0]).sum()) == len(z)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_the_gauge(kind):
    system = network(*kind)
    x = moved(system)
    y = system.canonical(x)
    torch.testing.assert_close(system.constraints(y).delta, system.constraints(x).delta, atol=1e-12, rtol=0)
    assert system.canonical(y) is y
    if system.weights == "free":
        assert float(y.split(system.sizes)[-1].view(system.shapes[-1]).sum(0).abs().max()) < 1e-14


def test_dead_units_and_copies_of_a_net_of_several_outputs():
    system = network()
    x = moved(system)
    first = x[: system.sizes[0]].view(system.shapes[0])
    first[2] = -first[0]  # copies of an odd σ
    smaller, y = system.reduced(x)
    assert smaller.widths == (4, 5)
    torch.testing.assert_close(smaller.output(y, system.inputs), system.output(x, system.inputs))


@pytest.mark.parametrize("potential", [uj.CrossEntropy(C), uj.Harmonic()])
def test_every_solver_lowers_the_energy(potential):
    system = network(potential=potential)
    begin = uj.energy(system, system.constraints(system.initial))
    solvers = (
        uj.LevenbergMarquardt,
        uj.TrustRegionNewton,
        uj.Adam,
        uj.Fire,
        uj.ConjugateGradient,
        uj.GradientDescent,
    )
    for solver in solvers:
        assert uj.minimize(system, solver=solver(max_steps=20)).energy < 0.9 * begin
    fitted = uj.minimize(system)
    assert fitted.status == "satisfied" and uj.accuracy(fitted.system, fitted.x) == 1.0


def test_a_hinge_without_stiffness_has_no_h0():
    system = network(potential=uj.LinearHinge())
    h0, hp = uj.hessian(system, system.constraints(moved(system)))
    assert not h0.any() and hp.any()
    descended = uj.minimize(system, solver=uj.LevenbergMarquardt(max_steps=5))
    assert descended.energy < uj.energy(system, system.constraints(system.initial))


@pytest.mark.parametrize("potential", [uj.Harmonic(), uj.CrossEntropy(C), uj.LinearHinge(0.5)], ids=str)
def test_minima_on_kinks(potential):
    """ReLU, more data than can be fitted: a true minimum, held by kinks, for hinge and cross-entropy alike."""
    random = np.random.default_rng(4)
    inputs, labels = random.standard_normal((100, 4)), random.permutation(np.arange(100) % C)
    system = FullyConnected.from_data(
        inputs, labels, 1, 4, "relu", weights="free", n_classes=C, potential=potential
    )
    rough = uj.ProximalNewton(
        gradient_tolerance=1e-3
    )  # weight decay first: without, free weights may run away
    stages = [uj.Stage(solver=rough, weight_decay=mu) for mu in (1.0, 0.1, 0.01)]
    result = uj.minimize(system, solver=uj.Stages((*stages, uj.Stage(solver=uj.ProximalNewton()))))
    count = uj.count_constraints(result.system, result.x)
    assert result.status == "converged" and result.relative_gradient < 1e-9 and count.n_kinks > 0
    assert count.n_effective <= system.n_dof - 4 - 5  # a rescaling a unit, a shift a column of the last layer
    # a plain forward pass: U rises to both sides along directions that open or close kinks
    for k in range(20):
        step = torch.randn(system.n_dof, generator=torch.Generator().manual_seed(k), dtype=torch.float64)
        rise = [
            uj.energy(system, system.constraints(result.x + size * step)) - result.energy
            for size in (1e-4, -1e-4)
        ]
        assert min(rise) > -1e-10 * result.energy


def test_a_minimum_of_cross_entropy_is_converged_and_taken_apart():
    """Labels that contradict each other: U has a true minimum, with the entropy of the labels as its energy."""
    inputs = np.repeat([[1.0, 0.5], [-0.3, 1.0], [0.2, -1.0]], 4, axis=0)
    labels = [0, 0, 1, 2, 1, 1, 2, 0, 0, 1, 2, 2]
    system = FullyConnected.from_data(
        inputs, labels, depth=0, weights="free", n_classes=3, potential=uj.CrossEntropy(3)
    )
    result = uj.minimize(system, solver=uj.TrustRegionNewton())
    assert result.status == "converged"
    entropy = -(0.5 * np.log(0.5) + 0.5 * np.log(0.25))  # a half and two quarters at each of three inputs
    assert result.energy == pytest.approx(12 * entropy, rel=1e-12)
    parts = uj.decompose_hessian(system, result.x)
    assert parts.h0.shape == (9, 9) and not parts.hp.any() and parts.kernel.shape[1] == 0
    assert uj.count_constraints(system, result.x).n_effective == 6


def test_spherical_nets_of_several_classes_jam():
    """As with two classes: one state of self stress, and Hp > 0 on what H0 leaves free, shifts of outputs apart."""
    random = np.random.default_rng(0)
    inputs, labels = random.standard_normal((60, 5)), random.permutation(np.arange(60) % C)
    system = FullyConnected.from_data(inputs, labels, depth=1, width=6, margin=0.5, n_classes=C)
    jammed = uj.jam(system)
    state = jammed.settled()
    count = uj.count_constraints(state.system, state.x)
    parts = uj.decompose_hessian(state.system, state.x)
    assert jammed.status == "converged" and 0 < jammed.threshold < 0.5
    assert count.n_effective == system.n_dof - 2 - 7  # two norms, a shift a column: at jamming their sum is 0
    assert parts.self_stress.shape[1] == 1 and (parts.self_stress > 0).all()
    held = parts.kernel_prestress()
    assert held.size == count.n_effective + 1 - count.n_overlaps and (held > 0).all()


def test_accuracy_and_test_error():
    system = network()
    x = moved(system)
    z = logits(system)(x)
    right = float((z.argmax(1) == system.labels).double().mean())
    assert uj.accuracy(system, x) == pytest.approx(right)
    other = system.labels.flip(0)
    expected = float((z.argmax(1) == other).double().mean())
    assert uj.accuracy(system, x, system.inputs.numpy(), other.numpy()) == pytest.approx(expected)
    binary = FullyConnected.random(depth=1, width=3, input_dimension=3, n_data=40)
    f = binary.output(binary.initial, binary.inputs)
    assert uj.accuracy(binary, binary.initial) == pytest.approx(
        float((f * binary.labels > 0).double().mean())
    )


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"labels": [0.0, 1.0, 4.0]}, "labels = .4.0. is not valid: .* 0 to 3 .* 4 classes"),
        ({"labels": [0.0, 1.0, -1.0]}, "labels"),
        ({"labels": [0.0, 1.0, 1.5]}, "labels"),
        ({"n_classes": 1}, "n_classes = 1"),
        ({"potential": uj.CrossEntropy(7)}, "potential = CrossEntropy.classes=7. .* 4 classes"),
        ({"potential": uj.CrossEntropy(4), "margin": 1.0}, "margin = 1.0 is not valid: it must be 0"),
    ],
)
def test_bad_input_is_answered_by_one_sentence(change, sentence):
    options = {"labels": [0, 1, 2], "n_classes": 4} | change
    with pytest.raises(ValueError, match=sentence) as caught:
        FullyConnected.from_data(np.ones((3, 2)), depth=1, width=3, **options)
    assert "\n" not in str(caught.value)
