"""From softplus to ReLU: a path of smooth networks that ends at a minimum of a network with kinks."""

from ..second_order.proximal_newton import ProximalNewton
from ..second_order.trust_region_newton import TrustRegionNewton
from .stages import Stage, Stages

SHARPEST = 500.0  # above this sharpness β, the next network of a path has ReLU
# Weight decay μ of the stages with ReLU. It falls by thirds, because near the transition minima move far as it falls
# (docs/decisions/044).
DECAY = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)


def rising(softest: float) -> tuple[float, ...]:
    """The sharpnesses β of four stages of softplus on a path to ReLU: β0, 2β0, 4β0, 8β0 with β0 = `softest`."""
    return tuple(softest * 2**k for k in range(4))


def softplus_to_relu(
    sharpness: tuple[float, ...] = rising(2.0), weight_decay: tuple[float, ...] = DECAY
) -> Stages:
    """The path to a minimum of a ReLU network: softplus of rising β, then ReLU at falling weight decay μ, then μ = 0.

    Parameters
    ----------
    sharpness : tuple of float
        β of each stage of softplus, all at the first weight decay.
    weight_decay : tuple of float
        μ of each stage with ReLU except the last, which has no weight decay.

    Returns
    -------
    Stages
        A method for `minimize`.

    Examples
    --------
    >>> import unijam as uj
    >>> len(uj.softplus_to_relu(sharpness=(2.0, 8.0), weight_decay=(1.0, 0.1)).stages)
    5
    """
    # Only the last stage must converge: the others are starts for the next one.
    rough = TrustRegionNewton(gradient_tolerance=1e-3, max_steps=40)
    near = ProximalNewton(gradient_tolerance=1e-3, max_steps=100, least_gain=1e-3)
    smooth = [Stage({}, rough, weight_decay[0], sharpness=beta) for beta in sharpness]
    kinked = [Stage({}, near, mu) for mu in weight_decay]
    return Stages((*smooth, *kinked, Stage({}, ProximalNewton())))
