"""Minimisers: `minimize`, the loop that all solvers share, and one file for each solver."""

from .choice import solver_for
from .first_order.adam import Adam
from .first_order.conjugate_gradient import ConjugateGradient
from .first_order.descent import TorchSchedule
from .first_order.fire import Fire
from .first_order.gradient_descent import GradientDescent
from .history import Record, Watch
from .loop import Solver
from .method import Method
from .minimize import minimize
from .objective import Objective
from .point import Point
from .replicas.run import ReplicaResult
from .result import MinimizeResult, joined
from .second_order.interior_point import InteriorPoint
from .second_order.levenberg_marquardt import LevenbergMarquardt
from .second_order.proximal_newton import ProximalNewton
from .second_order.trust_region_newton import TrustRegionNewton
from .sequences.fit_search import FitSearch
from .sequences.rounds import Rounds
from .sequences.softplus_to_relu import softplus_to_relu
from .sequences.stages import Stage, Stages

__all__ = [
    "Adam",
    "ConjugateGradient",
    "Fire",
    "FitSearch",
    "GradientDescent",
    "InteriorPoint",
    "LevenbergMarquardt",
    "Method",
    "MinimizeResult",
    "Objective",
    "Point",
    "ProximalNewton",
    "Record",
    "ReplicaResult",
    "Rounds",
    "Solver",
    "Stage",
    "Stages",
    "TorchSchedule",
    "TrustRegionNewton",
    "Watch",
    "joined",
    "minimize",
    "softplus_to_relu",
    "solver_for",
]
