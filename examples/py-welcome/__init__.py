"""A welcome from Python: hooks and a function over a collection of penguins."""

from .functions import *
from .hooks import *

__version__ = "0.1.0"
