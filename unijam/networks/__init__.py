"""Networks as constrained systems: one constraint a datum, or C − 1 for C > 2 classes."""

from . import saving  # noqa: F401  (Network says how it is saved)
from .accuracy import accuracy, test_error
from .datasets.data_set import DataSet
from .fully_connected import FullyConnected
from .network import Network
from .perceptron import Perceptron

__all__ = ["DataSet", "FullyConnected", "Network", "Perceptron", "accuracy", "datasets", "test_error"]
