"""Continuous latents that each row has of its own: the guide draws them given the row, by an encoder that all rows share."""

import math

import torch
from pyro import poutine
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.func import vmap

from .covariates import split
from .graphs.elimination import row_terms
from .graphs.lacking import Lacking, explained
from .program import Program, Values

# Draws of the guide for each row, by which what has no closed form is estimated: densities; moments, which cost no pass of a decoder.
SAMPLES, DRAWS = 100, 1000


def given_rows(program: Program, values: Values, x: Tensor) -> tuple[Values, Tensor]:
    """The continuous latents of the rows `x`, and (rows,) their log density in the guide.

    values: of the sites that rows share, and of those latents that are not to be drawn.
    """
    trace = poutine.trace(poutine.condition(program.pair.guide, data=values)).get_trace(x, program.size)
    trace.compute_log_prob()
    return {name: trace.nodes[name]["value"] for name in program.amortised}, row_terms(trace, len(x) / program.size)


def log_weight(program: Program, values: Values, x: Tensor) -> tuple[Values, Tensor]:
    """The same latents, and (rows,) log of p(row, latents | shared values) / q(latents | row)."""
    latents, log_q = given_rows(program, values, x)
    return latents, program.log_rows(values | latents, x) - log_q


def log_weights(program: Program, values: Values, x: Tensor, samples: int) -> Tensor:
    """(samples, rows) log importance ratios at as many draws from the guide."""
    return vmap(lambda _: log_weight(program, values, x)[1], randomness="different")(x.new_zeros(samples))


def log_evidence(program: Program, values: Values, x: Tensor, samples: int) -> Tensor:
    """(rows,) log p(row | shared values), its latents integrated out by importance sampling from the guide.

    On average it is too low, the less so the more samples. Source: Burda, Grosse & Salakhutdinov 2016, "Importance weighted
    autoencoders", ICLR.
    """
    estimate = log_weights(program, values, x, samples).logsumexp(0) - math.log(samples)
    # Nothing was seen of an empty row: its density is one, and need not be estimated.
    return torch.where(split(program.pair, x)[0].isnan().flatten(1).all(1), 0.0, estimate)


def moments(program: Program, values: Values, x: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """(rows, ...) mean and mean square of each latent in the guide; where it leans on others that are drawn, given a draw of them.

    Of a law that has no mean in closed form, over draws.
    """
    trace = poutine.trace(poutine.condition(program.pair.guide, data=values)).get_trace(x, program.size)
    return {name: _moments(trace.nodes[name]["fn"]) for name in program.amortised}


def _moments(law: TorchDistribution) -> tuple[Tensor, Tensor]:
    try:
        with explained("there is no mean"):
            return law.mean, law.variance + law.mean.square()
    except Lacking:
        draws = law.sample((DRAWS,))
        return draws.mean(0), draws.square().mean(0)
