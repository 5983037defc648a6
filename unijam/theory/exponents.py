"""Exponents at jamming in infinite dimension."""

from dataclasses import dataclass


@dataclass(frozen=True)
class JammingExponents:
    """Exponents at jamming in infinite dimension, found in every dimension from two on.

    P₊(Δ) ~ Δ^θ with θ_e = `theta_extended` for contacts whose opening moves the whole packing, and
    θ_l = `theta_localised` for contacts of bucklers (particles with d + 1 contacts); P₋(Δ) ~ |Δ|^(−γ); sizes of stress
    avalanches ~ S^(−τ). The perceptron of negative margin has θ_e alone.

    Sources: Charbonneau, Kurchan, Parisi, Urbani, Zamponi, Nat. Commun. 5, 3725 (2014); for bucklers Lerner,
    During, Wyart, Soft Matter 9, 8252 (2013) and Charbonneau, Corwin, Parisi, Zamponi, PRL 114, 125504
    (2015); for avalanches Franz, Spigler, PRE 95, 022139 (2017).
    """

    theta_extended: float = 0.42311
    theta_localised: float = 0.17462
    gamma: float = 0.41269
    tau: float = 1.41269


JAMMING_EXPONENTS = JammingExponents()
