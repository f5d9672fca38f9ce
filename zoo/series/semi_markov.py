"""Series of a hidden semi-Markov chain as a distribution: the segments are summed out exactly, and can be asked about."""

import torch
from pyro.distributions import Categorical, TorchDistribution
from torch import Tensor

from . import segments, shown
from .hidden_markov import HiddenMarkov


class SemiMarkov(HiddenMarkov):
    """Series x of T steps in segments: the first state ~ start, the next ~ transition[state]; each lasts ~ durations[state] steps.

    The first segment begins with the series, and the last may go on after it. As for `HiddenMarkov`, gaps are no step less.

    Arguments:
        start: (K,) log probabilities. transition: (K, K) log probabilities, from a segment's state (row) to the next one's (column).
        durations: (K, D) log probabilities of 1, ..., D steps. emission, steps: as in `HiddenMarkov`.
    """

    def __init__(
        self,
        start: Tensor,
        transition: Tensor,
        durations: Tensor,
        emission: TorchDistribution,
        steps: int,
        batch_shape: torch.Size = torch.Size(),
    ) -> None:
        super().__init__(start, transition, emission, steps, batch_shape)
        self.durations = durations

    def expand(self, batch_shape: torch.Size, _instance: object = None) -> "SemiMarkov":
        return SemiMarkov(self.start, self.transition, self.durations, self.emission, self.steps, batch_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        return segments.log_evidence(*self._terms(value), lengths=self._last(value) + 1)

    def sample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        nothing = self.start.new_zeros((*sample_shape, *self.batch_shape, self.steps, len(self.start)))
        return self._shown(segments.sample_paths(*self._chain, nothing))

    def latents(self, value: Tensor) -> dict[str, Categorical]:
        """p(z_t | x) of the states `z`, batch shape (*batch, T)."""
        whole = torch.full(value.shape[:-2], self.steps, device=value.device)
        return {"z": Categorical(probs=segments.expected(*self._terms(value), lengths=whole)[-1])}

    def smoothed(self, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Up to the last step seen of each series: p(z_t | x) (*batch, T, K), and how many moves (*batch, K, K) and segments by duration
        (*batch, K, D) are expected, the last one's being that so far."""
        moves, ended, alive, states = segments.expected(*self._terms(value), lengths=self._last(value) + 1)
        return states, moves, ended + alive

    def filter(self, value: Tensor) -> Categorical:
        """p(z_t | x_1..t), batch shape (*batch, T)."""
        return Categorical(probs=segments.filtered(*self._terms(value))[0].exp())

    def increments(self, value: Tensor) -> Tensor:
        """log p(x_t | x_1..t-1), (*batch, T); they add up to `log_prob`."""
        return segments.filtered(*self._terms(value))[1]

    def decode(self, value: Tensor) -> Tensor:
        """The states along the likeliest path of segments, (*batch, T)."""
        return segments.viterbi(*self._terms(value))

    def paths(self, value: Tensor) -> Tensor:
        """The states along a path of segments drawn from p(segments | x), (*batch, T)."""
        return segments.sample_paths(*self._terms(value))

    def forecast(self, value: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        """A draw of the states (*batch, steps) and values (*batch, steps, D) that follow the last step of which anything was seen."""
        *chain, seen = self._terms(value)
        unseen = seen.new_zeros((*seen.shape[:-2], steps, seen.shape[-1]))
        following = self._last(value)[..., None] + 1 + torch.arange(steps, device=value.device)
        states = segments.sample_paths(*chain, torch.cat([seen, unseen], -2)).take_along_dim(following, -1)
        return states, self._shown(states, value)

    @property
    def _chain(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.start, self.transition, self.durations, self.durations.flip(-1).logcumsumexp(-1).flip(-1)

    def _terms(self, value: Tensor) -> tuple[Tensor, ...]:
        return *self._chain, shown.log_steps(self.emission, value)
