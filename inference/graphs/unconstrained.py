"""Constrained values and the flat unconstrained vector that samplers and point estimates move in."""

import torch
from torch import Tensor
from torch.distributions import biject_to, transforms

from ..missing import known_missing
from ..program import Program, Site, Values
from .functorch import traceable
from .lacking import explained


class Flat:
    """A bijection between the values of `sites` and a vector of length `size`, with its log Jacobian.

    Raises TypeError where a support has no bijection.
    """

    def __init__(self, sites: dict[str, Site]) -> None:
        self.transforms = {name: _bijection(site) for name, site in sites.items()}
        self.shapes = {name: self.transforms[name].inverse_shape(site.shape) for name, site in sites.items()}
        self._sizes = [shape.numel() for shape in self.shapes.values()]
        self.size = sum(self._sizes)

    def split(self, flat: Tensor) -> Values:
        """The unconstrained value of every site, from a vector (size,)."""
        parts = flat.split(self._sizes)
        return {name: part.reshape(shape) for (name, shape), part in zip(self.shapes.items(), parts, strict=True)}

    def constrain(self, flat: Tensor) -> Values:
        """The value of every site, from a vector (size,)."""
        return {name: self.transforms[name](u) for name, u in self.split(flat).items()}

    def constrain_with_jacobian(self, flat: Tensor) -> tuple[Values, Tensor]:
        """The value of every site, and the log determinant of the Jacobian of the map (a scalar)."""
        values, total = {}, flat.new_zeros(())
        for name, u in self.split(flat).items():
            values[name] = self.transforms[name](u)
            total = total + self.transforms[name].log_abs_det_jacobian(u, values[name]).sum()
        return values, total

    def flatten(self, values: Values) -> Tensor:
        """The vector (size,) that `constrain` maps to `values`."""
        return torch.cat([self.transforms[name].inv(values[name]).reshape(-1) for name in self.shapes])


def check_jacobians(flat: Flat, sites: dict[str, Site]) -> None:
    """Refuse supports whose bijection has no known Jacobian, which MCMC needs. Raises TypeError that names the site."""
    for name, shape in flat.shapes.items():
        value = torch.full(shape, 0.1)
        with explained(
            f"site {name!r} has support {sites[name].support}, whose bijection has no known Jacobian. "
            "Use a distribution on a support that has one (`inference.supports.cholesky` for Cholesky factors)."
        ):
            flat.transforms[name].log_abs_det_jacobian(value, flat.transforms[name](value))


def fixed(program: Program, x: Tensor) -> dict[str, list[int]]:
    """The entries (in the flattened site) that can take one value only, such as a zero above a Cholesky factor's diagonal.

    They are those that two points drawn at random share; a table leaves them out.
    """
    flat = Flat(program.parameters)
    with torch.no_grad(), traceable(), known_missing(program.missing):
        first, second = (flat.constrain(torch.randn(flat.size, dtype=x.dtype, device=x.device)) for _ in range(2))
        first, second = first | program.derive(first, x), second | program.derive(second, x)
    shared = {name: (value == second[name]).flatten().nonzero().flatten().tolist() for name, value in first.items()}
    return {name: entries for name, entries in shared.items() if entries}


def _bijection(site: Site) -> transforms.Transform:
    with explained(f"site {site.name!r} has support {site.support}, which has no bijection to the reals"):
        return biject_to(site.support)
