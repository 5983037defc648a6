"""Degrees of freedom that belong together bear force together, so that no count depends on the axes."""

import numpy as np
import pytest
import torch

import unijam as uj
from unijam.support.arrays import together


def ring(angle, dimension=2, coordinates=2, translations=False, n=8):
    """A straight ring of springs that only pull, along a direction, at its minimum."""
    axis = torch.zeros(dimension, dtype=torch.float64)
    axis[0], axis[1] = np.cos(angle), np.sin(angle)
    noise = 0.01 * torch.randn(n, dimension, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    class Ring(uj.AutodiffSystem):
        control, stretch = "stretch", 1.02

        def __init__(self):
            self.coordinates = coordinates
            self.initial = (torch.arange(n, dtype=torch.float64)[:, None] * axis + noise).reshape(-1)

        def delta(self, x):
            r = x.reshape(n, dimension)
            step = r.roll(-1, 0) - r
            around = torch.cat([torch.zeros(n - 1, dimension, dtype=x.dtype), n * axis[None]])
            return (step + around).norm(dim=1) - (2 - self.stretch)

        def symmetries(self, x):
            none = torch.zeros(0, self.n_dof, dtype=x.dtype)
            return torch.eye(dimension, dtype=x.dtype).repeat(1, n) if translations else none

    result = uj.minimize(Ring())
    return result.system, result.x


@pytest.mark.parametrize("angle", [0.0, 0.7, np.pi / 2, 2.0])
@pytest.mark.parametrize(("translations", "n_effective"), [(False, 16), (True, 14)])
def test_a_straight_ring_of_springs_counts_alike_along_every_axis(angle, translations, n_effective):
    system, x = ring(angle, translations=translations)
    count = uj.count_constraints(system, x)
    assert (count.n_overlaps, count.n_effective, count.kind) == (8, n_effective, "hypostatic")
    h = uj.decompose_hessian(system, x)
    sigma = np.linalg.svd(h.jacobian, compute_uv=False)
    assert (sigma > 1e-6 * sigma[0]).sum() == 7
    held = h.kernel_prestress()
    assert (held > 1e-6).sum() == 7 and len(held) == (7 if translations else 9)
    assert np.abs(held[held <= 1e-6]).max(initial=0.0) < 1e-9


@pytest.mark.parametrize("angle", [0.0, 0.7])
def test_groups_may_be_given_by_number_in_any_kind_of_array(angle):
    wanted = uj.count_constraints(*ring(angle)).n_effective
    every = [7 * k for k in range(8) for _ in range(2)]
    for groups in (np.repeat(np.arange(8), 2), torch.arange(8).repeat_interleave(2), every):
        assert uj.count_constraints(*ring(angle, coordinates=groups)).n_effective == wanted == 16


def test_three_dimensions():
    for angle in (0.0, 0.7):
        assert uj.count_constraints(*ring(angle, dimension=3, coordinates=3)).n_effective == 24


@pytest.mark.parametrize(
    "value", [0, -1, 3, 2.0, "two", True, None, [0, 0, 1], np.zeros(16), np.zeros((8, 2), int), [0.5] * 16]
)
def test_coordinates_of_a_wrong_kind_are_refused_in_one_sentence(value):
    class Own(uj.AutodiffSystem):
        coordinates = value
        initial = torch.zeros(16, dtype=torch.float64)

        def delta(self, x):
            return 1 - x

    for measure in (uj.count_constraints, uj.decompose_hessian, lambda system, x: uj.minimize(system)):
        with pytest.raises(ValueError, match="coordinates of Own") as error:
            measure(Own(), Own.initial)
        assert "\n" not in str(error.value) and "16" in str(error.value)


@pytest.mark.parametrize("as_array", [np.asarray, torch.as_tensor])
def test_groups_are_set_as_wholes(as_array):
    mask = as_array(np.array([True, False, False, False, False, True]))
    assert together(mask, 1).tolist() == mask.tolist()
    assert together(mask, 2).tolist() == [True, True, False, False, True, True]
    assert together(mask, 3).tolist() == [True] * 6
    assert together(mask, np.array([5, 1, 5, 1, 9, 9])).tolist() == [True, False, True, False, True, True]


def test_particles_know_what_belongs_together():
    discs = uj.SoftSpheres.random(n=12, dimension=3, packing_fraction=0.3)
    assert discs.coordinates == 3
    ellipses = uj.Ellipses.random(n=4, packing_fraction=0.3)
    assert ellipses.coordinates.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 5, 6, 7]
