"""Networks as constrained systems: one constraint a datum."""

from .fully_connected import FullyConnected
from .perceptron import Perceptron

__all__ = ["FullyConnected", "Perceptron"]
