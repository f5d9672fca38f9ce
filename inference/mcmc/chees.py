"""ChEES-HMC: Hamiltonian Monte Carlo whose trajectory length is learnt, in warm-up, from all chains together.

The length climbs the gradient of the Change in the Estimator of the Expected Square, E[(|x' - E x|^2 - |x - E x|^2)^2] / 4, where
x and x' are the ends of a trajectory, for each unit of the length, which is what it costs: the change alone would pay any price for a
little more. All chains take equally many steps, so that none waits for another.

Reference: Hoffman, Radul & Sountsov 2021, "An adaptive-MCMC scheme for setting trajectory lengths in Hamiltonian Monte Carlo",
AISTATS, who take the change alone; Kingma & Ba 2015 (Adam), ICLR.
"""

import math
from typing import Any

import torch

from . import hmc
from .hmc import Info, Trajectory

__all__ = ["Info", "Kernel"]

RATE, FORGETTING = 0.025, 0.95
# Of a Gaussian the criterion, which looks at squares, is best at the length pi / 2, and means are best at pi.
LONGER = 2.0


class Kernel(hmc.Kernel):
    """HMC transitions whose length is learnt; once settled, it is somewhat more than the average of those tried, the latest most."""

    # Their 0.651 is best for Gaussians; on curved posteriors it diverges, and this costs a tenth of the draws a gradient.
    target_acceptance = 0.8

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.memory |= {"log": math.log(self.memory["length"]), "mean": 0.0, "square": 0.0, "count": 0}

    def learn(self) -> None:
        """Climb one step, by Adam, from what the last transition tried."""
        m, slope = self.memory, _slope(self.trajectory)
        m["count"] += 1
        m["square"] += (1 - FORGETTING) * (slope**2 - m["square"])
        if m["square"] > 0:
            m["log"] += RATE * slope / math.sqrt(m["square"] / (1 - FORGETTING ** m["count"]))
        m["mean"] += (m["log"] - m["mean"]) / math.sqrt(m["count"])
        m["length"] = math.exp(m["log"])

    def settle(self) -> None:
        """Keep the average length from now on, made `LONGER`: a little worse for squares, a good deal better for means."""
        if self.memory["count"]:
            self.memory["length"] = LONGER * math.exp(self.memory["mean"])


def _slope(tried: Trajectory) -> float:
    """The slope of the criterion in the logarithm of the length, up to a positive factor; a trajectory counts as likely as accepted."""
    # A trajectory that ran away is never accepted, and its end would overflow.
    arrived = (tried.acceptance > 0)[:, None]
    start, end, momentum = (torch.where(arrived, t, 0.0).double() for t in (tried.start.position, tried.end.position, tried.end.momentum))
    share = (tried.acceptance / tried.acceptance.sum().clamp(min=1e-12))[:, None]
    before, after = start - (share * start).sum(0), end - (share * end).sum(0)
    change = after.square().sum(-1) - before.square().sum(-1)
    # Of C / T in log T: that of C, less C itself, over T.
    return float((share[:, 0] * (tried.time * change * (after * momentum).sum(-1) - 0.25 * change.square())).sum())
