"""Angles in radians around a direction, as numbers are around a mean."""

import math

import numpy as np
import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints
from torch.library import custom_op

from ..batched import batched


class VonMises(TorchDistribution):
    """Angles of density exp(concentration cos(x - loc)) / (2 pi I0(concentration)), the same a whole turn further on.

    torch's own takes I0 by polynomials that are good to seven digits, and draws until all draws are accepted, which cannot be batched.

    Arguments: loc: radians. concentration: not negative; about the inverse of the variance where it is large.

    Reference: Mardia & Jupp 2000, "Directional statistics", Wiley, section 3.5.4.
    """

    arg_constraints = {"loc": constraints.real, "concentration": constraints.nonnegative}
    support = constraints.real

    def __init__(self, loc: Tensor, concentration: Tensor) -> None:
        self.loc, self.concentration = torch.broadcast_tensors(loc, concentration)
        super().__init__(self.loc.shape, validate_args=False)

    def expand(self, batch_shape: torch.Size, _instance: object = None) -> "VonMises":
        return VonMises(self.loc.expand(batch_shape), self.concentration.expand(batch_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        # cos(x) - 1 = -2 sin(x / 2)^2 loses no digits where angles are close.
        off = (0.5 * (value - self.loc)).sin().square()
        # torch knows the derivatives of i0e, which is I0 less its exponential growth.
        return -2 * self.concentration * off - torch.special.i0e(self.concentration).log() - math.log(2 * math.pi)

    def sample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        """Within half a turn of zero."""
        with torch.no_grad():
            shape = self._extended_shape(sample_shape)
            off = _around_zero(torch.randint(2**62, (), device=self.loc.device), self.concentration.expand(shape))
            return torch.remainder(self.loc + off + math.pi, 2 * math.pi) - math.pi


@custom_op("zoo::von_mises_sample", mutates_args=())
def _around_zero(seed: Tensor, concentration: Tensor) -> Tensor:
    found = np.random.default_rng(seed.flatten().tolist()).vonmises(0.0, concentration.cpu().double().numpy())
    return torch.as_tensor(found).reshape(concentration.shape).to(concentration)


batched(_around_zero)
