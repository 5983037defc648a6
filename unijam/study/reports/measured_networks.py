"""The samples of the study `transition_of_networks`: runs of Adam and of the search, transitions, jammed networks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from ...measurements import states_of_networks as of
from ...measurements.jammed import JammedSample
from ...measurements.landscape import LandscapeSample
from ...measurements.margins import MarginCurve
from ...measurements.transition import Transition
from ...statistics import Exponent
from ...support.printing import Brief

ByData = Mapping[int, Sequence[LandscapeSample]]


@dataclass(frozen=True, eq=False, repr=False)
class MeasuredNetworks(Brief):
    """ReLU networks with free weights through their transition, and spherical ones at jamming.

    Attributes
    ----------
    times : tuple of int
        The numbers of steps of Adam after which its states were measured.
    transitions : mapping of (depth, width) -> Transition
    descents : mapping of P -> samples
        Runs of Adam; the last state of each run is the minimum below.
    minima : mapping of P -> samples
        Results of the search.
    jammed : mapping of activation -> samples
        Jammed networks with spherical weights.
    margins : mapping of depth -> MarginCurve
        Jamming margins of spherical tanh networks.
    """

    times: tuple[int, ...]
    transitions: Mapping[tuple[int, int], Transition]
    descents: ByData
    minima: ByData
    jammed: Mapping[str, Sequence[JammedSample]]
    margins: Mapping[int, MarginCurve] = field(default_factory=dict)

    @cached_property
    def n_effective(self) -> int:
        """N_eff of the networks in `descents` and `minima`, an int."""
        every = [*self.descents.values(), *self.minima.values()]
        return max(int(s.n_effective.max()) for some in every for s in some)

    def by_load(self, samples: ByData) -> dict[float, Sequence[LandscapeSample]]:
        """Samples by P/N_eff, ascending, from samples by P."""
        return {p / self.n_effective: samples[p] for p in sorted(samples)}

    @cached_property
    def kinds(self) -> dict[str, of.States]:
        """The states whose Δ and spectra are compared, by name; states that fit their data are left out."""
        found = {
            f"Adam, {steps} steps": self.all_states(self.descents, k) for k, steps in enumerate(self.times)
        }
        found["minima below Adam"] = of.certified(self.all_states(self.descents, len(self.times)))
        found["minima of the search"] = of.certified(self.all_states(self.minima, 0))
        return found

    def all_states(self, samples: ByData, state: int) -> of.States:
        """State number `state` of every run at all loads; states that fit their data are left out."""
        return [one for p in sorted(samples) for one in of.states(samples[p], state)]

    @cached_property
    def exponents(self) -> dict[str, dict[str, Exponent]]:
        """θ and γ by kind of state, over all loads and for each load; θ also without the smallest overlaps."""
        found = {}
        for name, states in self.kinds.items():
            theta, gamma = of.exponents(states)
            found[name] = {"θ": theta, "γ": gamma}
            for cut in of.CUTS[1:]:
                found[name][f"θ above {cut:g} of the mean overlap"] = of.exponents(states, cut)[0]
            for p in sorted({sample.n_data for sample, _, _ in states}):
                theta, gamma = of.exponents([one for one in states if one[0].n_data == p])
                load = f"P/N_eff = {p / self.n_effective:.1f}"
                found[name] |= {f"θ at {load}": theta, f"γ at {load}": gamma}
        fitted = {"Adam, all data fitted": self._fitted(self.descents, len(self.times) - 1)}
        fitted["search, all data fitted"] = self._fitted(self.minima, 0)
        found |= {name: {"γ": of.exponents(states)[1]} for name, states in fitted.items() if states}
        for activation, samples in self.jammed.items():
            theta, gamma = of.jammed_exponents([s for s in samples if s.status == "converged"])
            found[f"spherical {activation} at jamming"] = {"θ": theta, "γ": gamma}
        return found

    def _fitted(self, samples: ByData, state: int) -> of.States:
        every = [one for p in sorted(samples) for one in of.states(samples[p], state, unfitted=False)]
        return [(s, r, k) for s, r, k in every if s.status[r, k] == "fitted"]
