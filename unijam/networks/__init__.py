"""Networks as constrained systems: one constraint a datum, or C − 1 for C > 2 classes."""

from .accuracy import accuracy, test_error
from .fully_connected import FullyConnected
from .perceptron import Perceptron

__all__ = ["FullyConnected", "Perceptron", "accuracy", "test_error"]
