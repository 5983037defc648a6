"""U and ∇U for first-order methods: a list of near pairs with a skin, and one backward pass over all of them."""

from typing import Any

import numpy as np
import torch

from ...core.tolerances import OVERLAP_RESOLUTIONS
from ...support.arrays import Array
from ..kernels.neighbours import neighbour_pairs, spare
from .pairs import Pairs

FIRST_SKIN = 0.1  # in mean diameters
# Skin in mean diameters × evaluations that a list serves, as of ellipses; an evaluation costs as much as ten
# searches, and grows with the list from about a thousand pairs on.
WORTH = 2.0
LEAST_SKIN, LARGEST_SKIN = 0.01, 0.3


class NearPairs:
    """x -> (U, ∇U, Σ u'², N_Δ), and (x, λ) -> the same and Σ u'c, with a list of its own.

    Attributes
    ----------
    pairs : Pairs or None
        All pairs within a skin of contact; None before the first evaluation.
    renewals : int
        How often the list was made.
    """

    def __init__(self, system: Any) -> None:
        self.system = system
        self.pairs: Pairs | None = None
        self.threshold = OVERLAP_RESOLUTIONS * system.resolution(system.initial)
        self.skin, self.served, self.renewals = FIRST_SKIN * system.scale, 0, 0
        self.kept: list[dict[str, Any]] = []

    def __call__(self, x: Array, scale: float | None = None) -> tuple[Any, ...]:
        system, x = self.system, np.asarray(x, dtype=np.float64)
        ratio = 1.0 if scale is None else scale / system.scale
        if not ratio > 0 or ratio * system.largest_diameter > 0.5 * system.narrowest_width:
            system.at(scale=scale)  # says what is wrong
        if not np.isfinite(x).all():
            found: tuple[Any, ...] = np.nan, np.full(len(x), np.nan), np.nan, 0
            return found if scale is None else (*found, np.nan)
        if self.pairs is None or self._outdated(x, ratio):
            self._renew(x, ratio)
        assert self.pairs is not None
        z = self.pairs.coordinates(x, self.shift)
        energy, slopes, square, delta, pull = self.pairs.forces(z, ratio, self.kept)
        self.served += 1
        count = int((delta > self.threshold).sum())
        found = energy, self.pairs.summed(slopes), square, count
        return found if scale is None else (*found, pull / scale)

    def _outdated(self, x: np.ndarray, ratio: float) -> bool:
        """Whether a pair beyond the list may have come into contact: both moved, and both grown."""
        moved = self.system.positions(x) - self.origin
        longest = float(np.einsum("ij,ij->i", moved, moved).max()) ** 0.5
        grown = max(ratio - self.ratio, 0.0) * self.system.largest_diameter
        return bool(2.0 * longest + grown > self.skin)

    def _renew(self, x: np.ndarray, ratio: float) -> None:
        system = self.system
        if self.pairs is not None:
            worth = WORTH * system.scale / max(self.served, 1)
            self.skin = min(max(worth, LEAST_SKIN * system.scale), LARGEST_SKIN * system.scale)
        self.skin = min(self.skin, spare(system.edges, ratio * system.largest_diameter))
        self.origin, self.ratio = system.positions(x).copy(), ratio
        near = neighbour_pairs(self.origin, system.edges, ratio * system.bounding_radii, self.skin)
        pairs = Pairs(system, *np.ascontiguousarray(near.T))
        self.kept = [] if self.pairs is None else carried(self.kept, self.pairs, pairs)
        self.pairs, self.shift = pairs, pairs.images(x)
        self.served, self.renewals = 0, self.renewals + 1


def carried(kept: list[dict[str, Any]], old: Pairs, new: Pairs) -> list[dict[str, Any]]:
    """What was kept of old pairs, for the new ones in their batches; NaN of those that were not there before."""
    n = old.system.n
    codes, wanted = (pairs.first * n + pairs.second for pairs in (old, new))
    place = np.searchsorted(codes, wanted)
    known = np.zeros(len(wanted), dtype=bool)
    inside = place < len(codes)
    known[inside] = codes[place[inside]] == wanted[inside]
    found: list[dict[str, Any]] = [{} for _ in new.batches()]
    for name in kept[0] if kept else ():
        whole = np.concatenate([part[name].numpy() for part in kept])
        if len(whole) != len(codes):  # not one row a pair
            continue
        moved = np.full((len(wanted), *whole.shape[1:]), np.nan)
        moved[known] = whole[place[known]]
        for part, batch in zip(found, new.batches(), strict=True):
            part[name] = torch.from_numpy(moved[batch])
    return found
