"""When to lower the learning rate, and when to stop."""

import math

import torch
from torch import Tensor
from torch.optim import Optimizer

FACTOR = 0.3
WINDOW = 50
LEAST = 6
NEGLIGIBLE = 0.01
LOUD = 0.5
FEWEST, MOST = 2, 5


class Settling:
    """Lowers the learning rate where the loss has stopped falling, until lowering it no longer lowers the loss.

    At one rate the loss has stopped falling when the last third of its steps is no lower than the third before, up to their
    noise; the longer it goes on, the slower a drift that is seen. A lower rate has not helped when it gained less than twice
    the noise, or 0.01 nats, which no use of a posterior could tell; the rate is lowered twice at least. Where minibatches make
    the noise louder than half a nat, gains cannot be heard, and the rate is lowered five times all the same.
    """

    def __init__(self, optimiser: Optimizer) -> None:
        self._optimiser = optimiser
        self._before, self._drops = math.inf, 0
        self._windows: list[Tensor] = []

    @property
    def fresh(self) -> bool:
        """Whether the rate has just been lowered, or never used: what the parameters were before is not to be averaged."""
        return not self._windows

    def done(self, window: Tensor) -> bool:
        """Take note of the losses of a window (step,); whether to stop."""
        self._windows.append(window)
        third = len(self._windows) // 3
        if len(self._windows) < LEAST:
            return False
        earlier, last = torch.cat(self._windows[-2 * third : -third]), torch.cat(self._windows[-third:])
        noise = math.sqrt(float(earlier.var() + last.var()) / len(last))
        now = float(last.mean())
        if float(earlier.mean()) - now > max(noise, 0.1 * NEGLIGIBLE):
            return False
        helped = self._before - now > max(2 * noise, NEGLIGIBLE)
        if not helped and self._drops >= (FEWEST if noise < LOUD else MOST):
            return True
        self._before, self._windows = now, []
        self._drops += 1
        for group in self._optimiser.param_groups:
            group["lr"] *= FACTOR
        return False


class Average:
    """The mean of the parameters over the steps at one learning rate, which wanders far less than the last of them.

    Source: Polyak & Juditsky 1992, "Acceleration of stochastic approximation by averaging", SIAM J. Control Optim. 30.
    """

    def __init__(self, parameters: list[Tensor]) -> None:
        self._parameters, self._count = parameters, 0
        self.values = [p.detach().clone() for p in parameters]

    def take(self, fresh: bool) -> None:
        """Note the parameters after a step; `fresh` begins anew."""
        self._count = 1 if fresh else self._count + 1
        for mean, parameter in zip(self.values, self._parameters, strict=True):
            mean.lerp_(parameter.detach(), 1 / self._count)
