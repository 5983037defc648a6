"""A user's own shapes: against the compiled ellipses, against geometry by brute force, at jamming; what is refused."""

import math

import numpy as np
import pytest
import torch

import unijam as uj
from unijam.figures import plot_packing
from unijam.particles.pairs import pairs as pairs_module
from unijam.particles.pairs.bodies import Body
from unijam.particles.pairs.shapes import Capsules, OwnEllipses, RoundedPolygons, Superellipses


class Dimers(uj.PairSystem):
    """What a user writes, in space: two spheres whose centres are R apart."""

    dimension: int = 3

    def bounding_radius(self):
        return 1.5

    def body_volume(self):
        return 9 * math.pi / 4  # two balls less the lens that they share

    def delta(self, a, b, r):
        shift = torch.tensor([-0.5, 0.5])[:, None]
        p, q = (shift * (body.radius[:, None] * body.axis)[:, None] for body in (a, b))
        reach = (a.radius + b.radius)[:, None, None]
        return (reach * (1 - uj.touching_discs(r[:, None, None], p[:, :, None], q[:, None], reach))).flatten(
            1
        )


class Mixed(uj.PairSystem):
    """Ellipses of aspect ratios of their own: a field with one number a body."""

    aspects: np.ndarray

    def bounding_radius(self):
        return np.sqrt(self.aspects)

    def delta(self, a, b, r):
        def surface(body, n):
            axes = torch.stack((body.aspects.sqrt(), 1 / body.aspects.sqrt()), dim=1)
            m = axes * n
            return body.radius[:, None] * axes * m / m.norm(dim=1, keepdim=True)

        return (a.radius + b.radius) * (1 - uj.touching_scale(a, b, r, surface))


def bodies(m, seed, radius=1.0):
    """m bodies of random angles, and vectors r between them, of lengths 1 to 3."""
    random = np.random.default_rng(seed)
    made = [
        Body(
            torch.full((m,), radius, dtype=torch.float64),
            torch.from_numpy(random.uniform(0, 2 * np.pi, (m, 1))),
            {},
        )
        for _ in "ab"
    ]
    angle, length = random.uniform(0, 2 * np.pi, m), random.uniform(1.0, 3.0, m)
    r = length[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    return *made, torch.from_numpy(r)


def own_and_compiled(n=48, seed=1):
    compiled = uj.Ellipses.random(n=n, aspect_ratio=1.4, packing_fraction=1.0, seed=seed)
    own = OwnEllipses(initial=compiled.initial, radii=compiled.radii, box_length=compiled.box_length)
    x = uj.minimize(compiled, None, uj.ConjugateGradient(max_steps=30)).x
    return own, compiled, x


def test_ellipses_written_by_hand_are_the_compiled_ones():
    own, compiled, x = own_and_compiled()
    assert own.packing_fraction == pytest.approx(compiled.packing_fraction, rel=1e-14)
    a, b = (system.constraints(x, 0.1) for system in (own, compiled))
    assert (a.members == b.members).all()
    np.testing.assert_allclose(a.delta, b.delta, atol=1e-13)
    np.testing.assert_allclose(a.jacobian().toarray(), b.jacobian().toarray(), atol=1e-12)
    np.testing.assert_allclose(a.loading(), b.loading(), atol=1e-12)
    for mine, theirs in zip(uj.hessian(own, a), uj.hessian(compiled, b), strict=True):
        np.testing.assert_allclose(mine.toarray(), theirs.toarray(), atol=1e-11)
    for mine, theirs in zip(a.bearing(), b.bearing(), strict=True):
        assert (mine == theirs).all()
    found = own.scaled_evaluator()(x, 1.01 * own.scale)
    expected = compiled.scaled_evaluator()(x, 1.01 * own.scale)
    for mine, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-12)


def test_moduli_of_ellipses_written_by_hand():
    own, compiled, _ = own_and_compiled(n=32)
    x = uj.minimize(compiled).x
    mine, theirs = uj.elastic_moduli(own, x), uj.elastic_moduli(compiled, x)
    np.testing.assert_allclose(mine.stiffness, theirs.stiffness, atol=1e-9)
    np.testing.assert_allclose(mine.stress, theirs.stress, atol=1e-12)


def test_superellipses_touch_at_their_scale():
    """Points of the one, at 0.999 and 1.001 of that scale, are outside of and inside of the other."""
    system = Superellipses.random(n=20, aspect=1.7, power=3.0, seed=0)
    a, b, r = bodies(40, 1)
    scale = uj.touching_scale(a, b, r, system.surface).numpy()
    outline = torch.from_numpy(system.outline())
    for factor, inside in ((0.999, False), (1.001, True)):
        s = torch.from_numpy(factor * scale)[:, None, None]
        seen = a.inward(r[:, None, :] + s * b.outward(outline)) / s
        x, y = (seen[:, :, 0].abs() / 1.7**0.5, seen[:, :, 1].abs() * 1.7**0.5)
        least = (x**3 + y**3).amin(dim=1).numpy()
        assert ((least < 1 + 1e-4) == inside).all()


def segments_apart(p, q):
    """The distance of two lines of two ends each, (2, 2): zero where they cross."""
    found = []
    for ends, line in ((p, q), (q, p)):
        along = line[1] - line[0]
        for end in ends:
            t = np.clip((end - line[0]) @ along / (along @ along), 0, 1)
            found.append(np.linalg.norm(end - line[0] - t * along))
    return min(found)


@pytest.mark.parametrize("seed", [0, 1])
def test_capsules_touch_at_their_scale(seed):
    system = Capsules.random(n=20, aspect=2.0)
    a, b, r = bodies(60, seed)
    scale = (1 - system.delta(a, b, r).amax(dim=1) / 2).numpy()
    core = torch.tensor([[-1.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
    of_a, of_b = a.outward(core).numpy(), b.outward(core).numpy()
    for k in range(60):
        apart = segments_apart(scale[k] * of_a[k], r[k].numpy() + scale[k] * of_b[k])
        assert apart == pytest.approx(2 * scale[k], rel=1e-12)


def contact(angle, r):
    """The distances of two capsules of R = 1 and α = 2, the first along x, that are in contact to 1e-9."""
    turn = torch.tensor([[0.0], [angle]], dtype=torch.float64)
    one = torch.ones(1, dtype=torch.float64)
    a, b = (Body(one, turn[k : k + 1], {}) for k in (0, 1))
    delta = Capsules.random(n=20).delta(a, b, torch.tensor([r], dtype=torch.float64))[0]
    return int((delta.abs() < 1e-9).sum()), float(delta.max())


def test_sides_count_twice_and_ends_once():
    assert contact(0.0, [0.6, 2.0]) == (2, pytest.approx(0, abs=1e-12))  # side to side
    assert contact(math.pi / 2, [0.3, 3.0]) == (1, pytest.approx(0, abs=1e-12))  # end to side
    assert contact(0.0, [4.0, 0.0]) == (1, pytest.approx(0, abs=1e-12))  # end to end
    slope = 2 * math.sqrt(0.5)
    assert contact(0.0, [2 + slope, slope]) == (1, pytest.approx(0, abs=1e-12))


@pytest.mark.parametrize(
    ("make", "n"), [(Capsules.random, 40), (RoundedPolygons.random, 40), (Dimers.random, 80)]
)
def test_derivatives_of_several_distances(make, n):
    """J, Σ w ∇∇Δ and c of all near distances, against differences along a direction."""
    system = make(n=n, packing_fraction=0.9, seed=2)
    x = system.canonical(uj.minimize(system, None, uj.ConjugateGradient(max_steps=20)).x)
    c, random = system.constraints(x, 0.05), np.random.default_rng(0)
    v, w = random.standard_normal(system.n_dof), random.standard_normal(len(c.delta))
    names = list(zip(*c.members.T.tolist(), c.which.tolist(), strict=True))

    def known(y, of=system):
        there = of.constraints(y, 0.2)
        found = list(zip(*there.members.T.tolist(), there.which.tolist(), strict=True))
        place = {name: k for k, name in enumerate(found)}
        return there, [place[name] for name in names]

    def deltas(y, of=system):
        there, places = known(y, of)
        return there.delta[places]

    def pushed(y):
        there, places = known(y)
        weights = np.zeros(len(there.delta))
        weights[places] = w
        return there.vjp(weights)

    step = 1e-6

    def along(function):
        return (function(x + step * v) - function(x - step * v)) / (2 * step)

    np.testing.assert_allclose(c.jvp(v), along(deltas), atol=1e-6)
    np.testing.assert_allclose(c.vjp(w), c.jacobian().T @ w, atol=1e-12)
    expected = along(pushed)
    np.testing.assert_allclose(c.curvature(w) @ v, expected, atol=1e-5 * abs(expected).max())
    grown = deltas(x, system.at(scale=1.01 * system.scale))
    np.testing.assert_allclose(grown - c.delta, 0.01 * system.scale * c.loading(), atol=1e-12)
    assert abs(c.jacobian() @ system.symmetries(x).T).max() < 1e-10
    energy, gradient, square, overlaps = system.evaluator()(x)
    assert (energy, square) == pytest.approx((uj.energy(system, c), 2 * energy), rel=1e-12)
    assert overlaps == c.overlaps.sum()
    np.testing.assert_allclose(gradient, uj.gradient(system, c), atol=1e-13)


def test_batches_change_nothing(monkeypatch):
    system = Superellipses.random(n=20, packing_fraction=1.0, seed=3)
    whole, c = system.evaluator()(system.initial), system.constraints(system.initial)
    h = uj.hessian(system, c)
    monkeypatch.setattr(pairs_module, "BATCH", 7)
    evaluate = system.evaluator()
    for x in (
        system.initial,
        system.initial + 0.2,
        system.initial,
    ):  # kept normals go on, in batches, to new lists
        parts = evaluate(x)
    np.testing.assert_allclose(parts[1], whole[1], atol=1e-11)
    assert parts[0] == pytest.approx(whole[0], rel=1e-12)
    again = uj.hessian(system, system.constraints(system.initial))
    for a, b in zip(h, again, strict=True):
        np.testing.assert_allclose(a.toarray(), b.toarray(), atol=1e-11)


@pytest.mark.parametrize(("make", "seed"), [(Capsules.random, 0), (Superellipses.random, 0)])
def test_own_shapes_jam_with_one_self_stress(make, seed):
    packing = uj.jam(make(n=20, packing_fraction=0.9, seed=seed))
    assert packing.status == "converged"
    state = packing.settled(1e-8)
    assert state.relative_gradient <= 1e-8
    hessian = uj.decompose_hessian(state.system, state.x)
    count = uj.count_constraints(state.system, state.x)
    kernel = hessian.kernel_prestress()
    assert hessian.self_stress.shape[1] == 1
    assert count.n_overlaps == count.n_effective + 1 - len(kernel)
    assert (kernel > 0).all()


STALLS = pytest.mark.xfail(reason="200 capsules stall near an overlap of 1e-5: docs/decisions/083")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("kind", [pytest.param(Capsules, marks=STALLS), Superellipses])
def test_own_shapes_of_the_size_of_papers(kind, seed):
    packing = uj.jam(kind.random(n=200, packing_fraction=0.9, seed=seed))
    assert packing.status == "converged"
    state = packing.settled(1e-8)
    assert state.relative_gradient <= 1e-8
    assert uj.decompose_hessian(state.system, state.x).self_stress.shape[1] == 1


def test_a_field_may_have_a_row_for_each_body(tmp_path):
    aspects = np.linspace(1.0, 2.0, 20)
    system = Mixed.random(n=20, packing_fraction=0.8, seed=0, aspects=aspects)
    equal = Mixed.random(n=20, packing_fraction=0.8, seed=0, aspects=np.full(20, 1.4))
    own = OwnEllipses.random(n=20, packing_fraction=0.8, seed=0)
    x = system.initial
    np.testing.assert_allclose(equal.constraints(x).delta, own.constraints(x).delta, atol=1e-13)
    again = uj.load(uj.save(system, tmp_path / "mixed.npz"))
    assert (again.constraints(x).delta == system.constraints(x).delta).all()
    assert uj.Recipe(Mixed, {"n": 20, "aspects": aspects}).system(seed=1).n == 20


@pytest.mark.parametrize("kind", [Capsules, RoundedPolygons, Superellipses])
def test_outlines_are_the_bodies_and_are_drawn(kind):
    system = kind.random(n=20, packing_fraction=0.9)
    x, y = system.outline().T
    area = 0.5 * float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum())
    assert area == pytest.approx(system.body_volume(), rel=0.01)
    ax = plot_packing(system, system.initial)
    drawn = sum(len(collection.get_paths()) for collection in ax.collections)
    assert drawn >= system.n


def refused(match, **changes):
    """The sentence with which a faulty class of discs is refused; `changes` replace its methods."""
    body = {
        "bounding_radius": lambda self: 1.0,
        "delta": lambda self, a, b, r: a.radius + b.radius - r.norm(dim=1),
    }
    kind = type("Faulty", (uj.PairSystem,), body | changes)
    with pytest.raises(ValueError, match=match) as error:
        kind.random(n=30, packing_fraction=0.5)
    assert str(error.value).count("\n") == 0


def test_faulty_shapes_are_refused_in_one_sentence():
    refused("the shape of Faulty.delta.* must be", delta=lambda self, a, b, r: r.norm())
    refused("Faulty.delta.* a tensor, made of", delta=lambda self, a, b, r: r.norm(dim=1).numpy())
    refused("NaN or infinite", delta=lambda self, a, b, r: (r.norm(dim=1) - 9).log())
    refused("Δ is the same whichever", delta=lambda self, a, b, r: 1.1 * a.radius + b.radius - r.norm(dim=1))
    refused("bounding_radius.* at least", bounding_radius=lambda self: 0.9)
    refused("bounding_radius.* positive", bounding_radius=lambda self: -1.0)
    refused("the shape of .*bounding_radius", bounding_radius=lambda self: np.ones(3))
    bent = "linear in a common factor"
    refused(bent, delta=lambda self, a, b, r: (a.radius + b.radius) ** 2 - (r * r).sum(dim=1))
    with pytest.raises(ValueError, match=r"largest diameter .* half the box side"):
        Capsules.random(n=4)
    with pytest.raises(ValueError, match="aspekt"):
        Capsules.random(n=20, aspekt=3.0)
    with pytest.raises(AttributeError, match="a body has no"):
        bodies(2, 0)[0].aspekt  # noqa: B018
    with pytest.raises(ValueError, match="SoftSpheres or Ellipses to be written"):
        system = Capsules.random(n=20)
        uj.write_gsd("never.gsd", [(system, system.initial)])
