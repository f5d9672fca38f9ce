"""What an encoder says of a row's code: its law in the guide, by `covariance`.

| law    | a code is drawn from                                             | numbers the encoder gives for each latent |
|--------|------------------------------------------------------------------|-------------------------------------------|
| `diag` | Normal(loc, scale)                                               | loc, log scale                            |
| `full` | MultivariateNormal(loc, scale_tril)                              | loc, a row of the Cholesky factor         |
| `flow` | loc + scale * a flow of standard normal numbers, given a context | loc, log scale, context                   |

A law offers `outputs`, how many numbers it takes for each latent; `forward(output)`, the distribution of the codes of rows of which
the encoder gave `output` (..., outputs * latents); and `start()`, which draws what is learnt anew.
"""

import pyro.distributions as dist
from torch import Tensor, nn
from torch.distributions.transforms import AffineTransform, LowerCholeskyTransform

from .flows import Flow

# A lower triangle as it is, the diagonal in logarithms.
CHOLESKY = LowerCholeskyTransform()


class Diagonal(nn.Module):
    """Latents that are independent given the row."""

    def __init__(self, latents: int) -> None:
        super().__init__()
        self.latents, self.outputs = latents, 2

    def forward(self, output: Tensor) -> dist.TorchDistribution:
        loc, log_scale = output.chunk(2, -1)
        return dist.Normal(loc, log_scale.exp()).to_event(1)

    def start(self) -> None:
        """There is nothing to draw."""


class Full(Diagonal):
    """Latents that covary given the row."""

    def __init__(self, latents: int) -> None:
        super().__init__(latents)
        self.outputs = 1 + latents

    def forward(self, output: Tensor) -> dist.TorchDistribution:
        loc, rest = output.tensor_split([self.latents], -1)
        return dist.MultivariateNormal(loc, scale_tril=CHOLESKY(rest.unflatten(-1, (self.latents, self.latents))))


class Bent(nn.Module):
    """Latents whose law given the row may be skewed, curved, or of several modes.

    Reference: Rezende & Mohamed 2015, "Variational inference with normalizing flows", ICML.
    """

    def __init__(self, latents: int) -> None:
        super().__init__()
        self.outputs, self.flow = 3, Flow(latents, latents)

    def forward(self, output: Tensor) -> dist.TorchDistribution:
        loc, log_scale, context = output.chunk(3, -1)
        plain = self.flow(context, context)
        return dist.TransformedDistribution(plain.base_dist, [*plain.transforms, AffineTransform(loc, log_scale.exp(), event_dim=1)])

    def start(self) -> None:
        self.flow.start()


class Point(Diagonal):
    """A code that is known."""

    def __init__(self, latents: int) -> None:
        super().__init__(latents)
        self.outputs = 1

    def forward(self, output: Tensor) -> dist.TorchDistribution:
        return dist.Delta(output, event_dim=1)


LAWS = {"diag": Diagonal, "full": Full, "flow": Bent}
