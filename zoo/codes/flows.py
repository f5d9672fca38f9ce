"""Flows: what bends Normal numbers into codes whose density is still known."""

import pyro.distributions as dist
from torch import Tensor, nn
from zuko.flows import MAF

TRANSFORMS, HIDDEN = 2, [32]


class Flow(nn.Module):
    """Q standard normal numbers, one half of them moved and stretched by what the other half is, and this again for the other half.

    Both ways are exact: codes are drawn, and scored, in a few passes.

    Arguments:
        latents: Q, two or more. context: how many numbers the moves depend on besides.

    Raises ValueError for one latent, which has no other half.

    Reference: Dinh, Sohl-Dickstein & Bengio 2017, "Density estimation using Real NVP", ICLR.
    """

    def __init__(self, latents: int, context: int = 0) -> None:
        super().__init__()
        if latents < 2:
            raise ValueError(f"latents={latents}: a flow bends some latents by what the others are; take two or more")
        self.latents, self.context = latents, context
        self.moves = self._drawn()

    def forward(self, like: Tensor, context: Tensor | None = None) -> dist.TorchDistribution:
        """The law of codes (..., Q), as many as `like` (..., numbers) has rows, given the `context` (..., numbers) if there is one."""
        plain = dist.Normal(like.new_zeros(*like.shape[:-1], self.latents), 1.0).to_event(1)
        return dist.TransformedDistribution(plain, [self.moves.transform(context).inv])

    def start(self) -> None:
        """Drawn anew, nearly without a move, by torch's generator."""
        self.moves.load_state_dict(self._drawn().state_dict())

    def _drawn(self) -> MAF:
        # Two passes: two halves. Latents one after the other would take as many passes as there are, one way.
        return MAF(self.latents, self.context, transforms=TRANSFORMS, hidden_features=HIDDEN, passes=2)
