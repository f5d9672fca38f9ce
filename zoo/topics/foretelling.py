"""What texts are foretold to answer from their words alone."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.func import vmap

from inference import as_table
from inference.amortised import SAMPLES, log_weight
from inference.answers.latent import averages
from inference.answers.predictive import averaged, program_for, row_chunks
from inference.program import Program, Values
from inference.record import columns
from inference.run import at_least, seeded

if TYPE_CHECKING:
    from inference import Posterior


def responses(posterior: "Posterior", x: Any, *, samples: int = SAMPLES, seed: int = 0) -> Any:
    """The responses of texts `x`, foretold from their words, whether they are known or not: mean and sd of numbers, or the probability
    of each category, a row each; as a DataFrame if the texts are one.

    x: counts with a last column of responses, or without. Mixtures are averaged over by `samples` draws of the guide, each by its
    importance. Raises ValueError for other columns.
    """
    at_least(1, samples=samples)
    at_least(0, seed=seed)
    table = as_table(x)
    count = posterior.pair.vocabulary
    if table.x.dim() != 2 or table.x.shape[1] not in (count, count + 1):
        shape = tuple(table.x.shape)
        raise ValueError(f"texts must be counts of {count} words, with a last column of responses or without, not of shape {shape}")
    words = table.x[:, :count]
    name = (columns(posterior) or [*table.columns, "response"])[-1]
    without = replace(
        table, x=torch.cat([words, torch.full_like(words[:, :1], torch.nan)], 1), columns=[*table.columns[: words.shape[1]], name]
    )
    program, _ = program_for(posterior, without)
    with seeded(seed, posterior.device):
        parts = [averaged(posterior, part, _foretold(part, samples), posterior.draws, samples) for part in row_chunks(program, samples)]
    mean, *square = (torch.cat(moment) for moment in zip(*parts, strict=True))
    if not square:
        return table.dress(mean.to(table.x), [str(category) for category in range(mean.shape[1])])
    return table.dress(torch.stack([mean, (square[0] - mean.square()).clamp(min=0).sqrt()], 1).to(table.x), ["mean", "sd"])


def _foretold(program: Program, samples: int) -> Any:
    """A function from values to what is averaged of the responses' law: probabilities, or mean and mean square."""

    def function(values: Values, x: Tensor) -> tuple[Tensor, ...]:
        def one(_: Tensor) -> tuple[Tensor, ...]:
            latents, log_w = log_weight(program, values, x)
            return log_w, *averages(program.observation(values | latents, x)[0].response)

        log_w, *moments = vmap(one, randomness="different")(x.new_zeros(samples))
        return tuple(torch.einsum("sn,sn...->n...", log_w.softmax(0), moment) for moment in moments)

    return function
