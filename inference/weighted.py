"""The ELBO with a weight on what the codes of rows tell: less of it to begin with, more or less of it in the end, and some for nothing."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributions import kl_divergence
from torch.func import functional_call

from .objectives import MeanFieldELBO, values_of
from .program import Program, Values


class WeightedELBO(MeanFieldELBO):
    """-E[log p(row | latents)] + beta * KL(guide || prior) of the latents of rows, in nats; all else as in the ELBO.

    At beta = 1 it is the negative ELBO. More presses latents to their prior, less lets them tell more of the row than a fair model
    would pay for. The gradient is that with a weight that rises evenly to beta over the first steps, for decoders that would learn to
    do without their latents before these mean anything; the loss that is told is always that at beta. Of each latent's mean divergence
    over the rows, `free_bits` nats cost as much as none, so that none is given up that tells as much.

    Arguments:
        particles: draws from the guide. beta: the weight. warmup: steps over which it rises. free_bits: nats of each latent; of a code
            whose divergence is not known latent by latent, as many times that as it has latents, all together.

    Raises:
        ValueError: rows have no latents that the guide draws, or it draws one without a path, or their prior leans on a discrete one.

    Sources: Higgins et al. 2017, "beta-VAE: learning basic visual concepts with a constrained variational framework", ICLR; Bowman,
    Vilnis, Vinyals, Dai, Jozefowicz & Bengio 2016, "Generating sentences from a continuous space", CoNLL (the warm-up); Kingma,
    Salimans, Jozefowicz, Chen, Sutskever & Welling 2016, "Improved variational inference with inverse autoregressive flow", NeurIPS
    (free bits).
    """

    def __init__(
        self, program: Program, guide: Callable, particles: int = 1, beta: float = 1.0, warmup: int = 1, free_bits: float = 0.0
    ) -> None:
        super().__init__(program, guide, particles)
        self.beta, self.warmup, self.free_bits = beta, warmup, free_bits
        name = type(self.pair).__name__
        if self.pathless:
            raise ValueError(f"objective='beta': {name}.guide draws {self.pathless[0]!r} without a reparameterised draw; use 'elbo'")
        if not program.amortised:
            raise ValueError(f"objective='beta' weighs latents that the guide draws for each row, of which {name} has none; use 'elbo'")
        if len(program.locals) > len(program.amortised):
            raise ValueError(f"objective='beta': the latents of a row of {name} may lean on a discrete one; use 'elbo'")

    def begin(self, x: Tensor) -> Values:
        """No step has been made."""
        return {"done": x.new_zeros(())}

    def step(self, parameters: Values, x: Tensor, carried: Values) -> tuple[Tensor, Values]:
        """See `Objective`."""
        done = carried["done"] + 1
        whole = super().loss(parameters, x)
        plain, paid = self._divergence(parameters, x)
        bound = whole - plain
        followed = bound + self.beta * (done / self.warmup).clamp(max=1) * paid
        return followed - followed.detach() + (bound + self.beta * paid).detach(), {"done": done}

    def loss(self, parameters: Values, x: Tensor) -> Tensor:
        """At the full weight."""
        whole = super().loss(parameters, x)
        plain, paid = self._divergence(parameters, x)
        return whole - plain + self.beta * paid

    def _divergence(self, parameters: Values, x: Tensor) -> tuple[Tensor, Tensor]:
        """KL(guide || prior) of the latents of all rows, for which `x` stand, and what of it is to be paid for."""
        drawn = functional_call(self, parameters, (self._guide, x))
        prior = functional_call(self, parameters, (self.program.trace, values_of(drawn, self.program), x)).nodes
        plain, paid = x.new_zeros((), dtype=torch.double), x.new_zeros((), dtype=torch.double)
        for name, site in self.program.amortised.items():
            q, p = drawn.nodes[name], prior[name]
            if name in self.closed and hasattr(q["fn"], "base_dist"):
                told = kl_divergence(q["fn"].base_dist, p["fn"].base_dist).flatten(1).mean(0, dtype=torch.double)
            else:
                told = (q["log_prob"] - p["log_prob"]).mean(dtype=torch.double)[None] * (len(x) / self.program.size)
            free = self.free_bits * site.shape[1:].numel() / len(told)
            plain, paid = plain + told.sum(), paid + told.clamp(min=free).sum()
        return plain * self.program.size, paid * self.program.size
