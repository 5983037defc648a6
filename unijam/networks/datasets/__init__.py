"""Data sets: random, made by a rule, or images from their original files; each loader returns a `DataSet`."""

from .arrays import arrays
from .cifar10 import cifar10
from .data_set import DataSet
from .mnist import mnist
from .npz import npz
from .parity import parity
from .random import random
from .teacher import teacher

__all__ = ["DataSet", "arrays", "cifar10", "mnist", "npz", "parity", "random", "teacher"]
