"""When to lower the learning rate, and when to stop."""

import math

from torch import Tensor
from torch.optim import Optimizer

FACTOR = 0.3
STALE = 2
NEGLIGIBLE = 0.01
LOUD = 0.5
DROPS = 5


class Settling:
    """Lowers the learning rate where the loss has stopped falling, until lowering it no longer lowers the loss.

    A loss has stopped falling when two windows in a row are no lower than the best by more than their own noise. A lower rate
    has not helped when it gained less than twice that noise, or 0.01 nats, which no use of a posterior could tell. Where minibatches
    make the noise louder than half a nat, gains cannot be heard, and the rate is lowered five times all the same.
    """

    def __init__(self, optimiser: Optimizer) -> None:
        self._optimiser = optimiser
        self._before = self._best = math.inf
        self._stale = self._drops = 0

    def done(self, window: Tensor) -> bool:
        """Take note of the losses of a window (step,); whether to stop."""
        mean, noise = float(window.mean()), float(window.std()) / len(window) ** 0.5
        self._stale = 0 if mean < self._best - noise else self._stale + 1
        self._best = min(mean, self._best)
        if self._stale < STALE:
            return False
        helped = self._before - self._best > max(2 * noise, NEGLIGIBLE)
        if not helped and (noise < LOUD or self._drops == DROPS):
            return True
        self._before, self._best, self._stale = self._best, math.inf, 0
        self._drops += 1
        for group in self._optimiser.param_groups:
            group["lr"] *= FACTOR
        return False
