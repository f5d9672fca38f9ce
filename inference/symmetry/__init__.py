"""Symmetries that a pair declares: transformations of its parameters that change nothing about the data."""

from .group import Symmetry
from .nested import NestedPermutation
from .permutation import Permutation
from .rotation import Rotation
from .sign import Sign
from .signed import SignedPermutation

__all__ = ["NestedPermutation", "Permutation", "Rotation", "Sign", "SignedPermutation", "Symmetry"]
