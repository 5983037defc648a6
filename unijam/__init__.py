"""unijam: systems of constraints that jam, from soft spheres to deep networks, in one program."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .branches.continuation import conjugate_force, distance_to_threshold
from .branches.follow import Branch, follow
from .branches.jam import JamResult, jam
from .core.constraints import Constraints
from .core.derivatives import energy, gradient, hessian
from .core.kinks import Kinks
from .core.potentials import CrossEntropy, Harmonic, Hertzian, LinearHinge, Potential
from .core.saving import load, save
from .core.system import ConstrainedSystem
from .ensemble import EnsembleError, Recipe, Sample, run_ensemble
from .ensemble.names import introduce
from .measurements.margins import MarginCurve, jamming_margins
from .measurements.transition import Transition, find_transition
from .particles import Ellipses, Ellipsoids, SoftSpheres, localised_contacts
from .particles.mechanics import ElasticModuli, elastic_moduli, stress
from .solvers import (
    Adam,
    ConjugateGradient,
    Fire,
    FitSearch,
    GradientDescent,
    InteriorPoint,
    LevenbergMarquardt,
    Method,
    MinimizeResult,
    ProximalNewton,
    Rounds,
    Solver,
    Stage,
    Stages,
    TorchSchedule,
    TrustRegionNewton,
    Watch,
    minimize,
    softplus_to_relu,
)
from .spectra import (
    Certificate,
    HessianDecomposition,
    KernelSigns,
    VibrationalModes,
    certify,
    decompose_hessian,
    vibrational_modes,
)
from .statistics import ConstraintCount, DeltaStatistics, count_constraints, delta_statistics

if TYPE_CHECKING:  # the names of `_LAZY`, for type checkers and editors
    from .core.autodiff import AutodiffSystem
    from .figures import animate_jamming, plot_packing
    from .networks import DataSet, FullyConnected, Network, Perceptron, accuracy, datasets, test_error
    from .particles.formats.gsd import read_gsd, write_gsd
    from .particles.formats.lammps import lammps_input, read_lammps, write_lammps
    from .particles.pair_system import PairSystem
    from .particles.pairs.rounded import touching_polygons
    from .particles.pairs.touching import touching_discs, touching_scale

__version__ = "0.1.0"

# torch, matplotlib and gsd take long to import: what needs them is loaded at first use
_LAZY = {
    "AutodiffSystem": ".core.autodiff",
    "DataSet": ".networks",
    "FullyConnected": ".networks",
    "Network": ".networks",
    "PairSystem": ".particles.pair_system",
    "Perceptron": ".networks",
    "accuracy": ".networks",
    "animate_jamming": ".figures",
    "datasets": ".networks",
    "lammps_input": ".particles.formats.lammps",
    "plot_packing": ".figures",
    "read_gsd": ".particles.formats.gsd",
    "read_lammps": ".particles.formats.lammps",
    "test_error": ".networks",
    "touching_discs": ".particles.pairs.touching",
    "touching_polygons": ".particles.pairs.rounded",
    "touching_scale": ".particles.pairs.touching",
    "write_gsd": ".particles.formats.gsd",
    "write_lammps": ".particles.formats.lammps",
}

__all__ = [
    "Adam",
    "AutodiffSystem",
    "Branch",
    "Certificate",
    "ConjugateGradient",
    "ConstrainedSystem",
    "ConstraintCount",
    "Constraints",
    "CrossEntropy",
    "DataSet",
    "DeltaStatistics",
    "ElasticModuli",
    "Ellipses",
    "Ellipsoids",
    "EnsembleError",
    "Fire",
    "FitSearch",
    "FullyConnected",
    "GradientDescent",
    "Harmonic",
    "Hertzian",
    "HessianDecomposition",
    "InteriorPoint",
    "JamResult",
    "KernelSigns",
    "Kinks",
    "LevenbergMarquardt",
    "LinearHinge",
    "MarginCurve",
    "Method",
    "MinimizeResult",
    "Network",
    "PairSystem",
    "Perceptron",
    "Potential",
    "ProximalNewton",
    "Recipe",
    "Rounds",
    "Sample",
    "SoftSpheres",
    "Solver",
    "Stage",
    "Stages",
    "TorchSchedule",
    "Transition",
    "TrustRegionNewton",
    "VibrationalModes",
    "Watch",
    "accuracy",
    "animate_jamming",
    "certify",
    "conjugate_force",
    "count_constraints",
    "datasets",
    "decompose_hessian",
    "delta_statistics",
    "distance_to_threshold",
    "elastic_moduli",
    "energy",
    "find_transition",
    "follow",
    "gradient",
    "hessian",
    "jam",
    "jamming_margins",
    "lammps_input",
    "load",
    "localised_contacts",
    "minimize",
    "plot_packing",
    "read_gsd",
    "read_lammps",
    "run_ensemble",
    "save",
    "softplus_to_relu",
    "stress",
    "test_error",
    "touching_discs",
    "touching_polygons",
    "touching_scale",
    "vibrational_modes",
    "write_gsd",
    "write_lammps",
]

introduce(__name__, __all__, showing=("figures", "study"))


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name], __name__), name)
    raise AttributeError(f"module 'unijam' has no attribute {name!r}")
