"""Flows: what bends Normal numbers into codes whose density is still known."""

import pyro.distributions as dist
from torch import Tensor, nn
from zuko.flows import NSF

TRANSFORMS, HIDDEN = 2, [32, 32]


class Flow(nn.Module):
    """Q standard normal numbers bent by rational quadratic splines, of one half of them by what the other half is.

    Both ways are exact: codes are drawn and scored at the same cost.

    Arguments:
        latents: Q. context: how many numbers the splines depend on besides.

    Reference: Durkan, Bekasov, Murray & Papamakarios 2019, "Neural spline flows", NeurIPS.
    """

    def __init__(self, latents: int, context: int = 0) -> None:
        super().__init__()
        self.latents, self.context = latents, context
        self.splines = self._drawn()

    def forward(self, like: Tensor, context: Tensor | None = None) -> dist.TorchDistribution:
        """The law of codes (..., Q), as many as `like` (..., numbers) has rows, given the `context` (..., numbers) if there is one."""
        plain = dist.Normal(like.new_zeros(*like.shape[:-1], self.latents), 1.0).to_event(1)
        return dist.TransformedDistribution(plain, [self.splines.transform(context).inv])

    def start(self) -> None:
        """Splines drawn anew, nearly straight, by torch's generator."""
        self.splines.load_state_dict(self._drawn().state_dict())

    def _drawn(self) -> NSF:
        # Two passes: of two halves. All at once would take as many passes as there are latents, one way.
        return NSF(self.latents, self.context, transforms=TRANSFORMS, hidden_features=HIDDEN, passes=2)
