"""Networks of series: what moves a state to the next, and what reads a series from both ends."""

import torch
from pyro.distributions import Normal
from torch import Tensor, nn
from torch.nn.functional import softplus

from ..codes.nets import mlp, restart
from .recurrence import follow

# Of a state, kept by a step before anything is learnt; and of its standard deviation that a step then changes, before softplus.
KEPT, CHANGED = 0.9, -1.0


class LinearStep(nn.Module):
    """z_t ~ Normal(linear(z_t-1), scale), with one scale for each of K numbers."""

    def __init__(self, states: int) -> None:
        super().__init__()
        self.linear, self.log_scale = nn.Linear(states, states), nn.Parameter(torch.empty(states))
        self.start()

    def forward(self, states: Tensor) -> Normal:
        return Normal(self.linear(states), self.log_scale.exp(), validate_args=False)

    def start(self) -> None:
        """States that hardly change."""
        with torch.no_grad():
            nn.init.eye_(self.linear.weight).mul_(KEPT)
            self.linear.bias.zero_()
            self.log_scale.fill_(CHANGED)


class GatedStep(nn.Module):
    """z_t ~ Normal((1 - gate) linear(z_t-1) + gate * proposal, scale): what is new enters by a gate, and all lean on z_t-1.

    Gate, proposal and scale, before softplus, are those of a network with the layers `hidden`.

    Reference: Krishnan, Shalit & Sontag 2017.
    """

    def __init__(self, states: int, hidden: list[int]) -> None:
        super().__init__()
        self.linear, self.net = nn.Linear(states, states), mlp([states, *hidden, 3 * states])
        self.start()

    def forward(self, states: Tensor) -> Normal:
        gate, proposal, scale = self.net(states).chunk(3, -1)
        kept = self.linear(states)
        return Normal(kept + gate.sigmoid() * (proposal - kept), softplus(scale), validate_args=False)

    def start(self) -> None:
        """Weights drawn anew; what is kept hardly changes."""
        restart(self.net)
        with torch.no_grad():
            nn.init.eye_(self.linear.weight).mul_(KEPT)
            self.linear.bias.zero_()


class Reader(nn.Module):
    """What a gated net remembers at each step of the steps before and, apart, of those after, with the step itself: (..., T, 2 memory).

    h_t = forget * h_t-1 + (1 - forget) * offer, both made of the step alone, so that no step waits for another. Steps after the end of
    a series are passed over.

    Reference: Feng, Tung, Ahmed, Bengio & Hajimirsadeghi 2024, "Were RNNs all we needed?".
    """

    def __init__(self, inputs: int, memory: int) -> None:
        super().__init__()
        self.net = nn.Linear(inputs, 4 * memory)

    def forward(self, seen: Tensor, going_on: Tensor) -> Tensor:
        offers, forget = self.net(seen).chunk(2, -1)
        forget = torch.where(going_on[..., None], forget.sigmoid(), 1.0)
        ways = zip(forget.chunk(2, -1), ((1 - forget) * offers).chunk(2, -1), (False, True), strict=True)
        return torch.cat([follow(*way) for way in ways], -1)
