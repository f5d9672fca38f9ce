"""Series of a hidden Markov chain as a distribution: the path of states is summed out exactly, and can be asked about."""

import torch
from pyro.distributions import Categorical, TorchDistribution
from torch import Tensor
from torch.distributions import constraints

from . import markov, shown


class HiddenMarkov(TorchDistribution):
    """Series x of T steps: z_1 ~ start, z_t ~ transition[z_t-1], x_t ~ emission[z_t]; `NaN` is integrated out.

    A gap, and the tail of `NaN` that pads a short series, is no step less: the chain runs on unseen.

    Arguments:
        start: (K,) log probabilities. transition: (K, K) log probabilities, from a state (row) to the next (column); or
            (*batch, T - 1, K, K), where they are not the same at all steps.
        emission: what a step shows in each state; batch shape (K,), event shape (D,); its `log_prob` passes over `NaN`, and its
            `fill` draws what is missing. Where steps differ its batch shape is (*batch, T, K); or it depends on the steps before
            (`shown.py`). steps: T.
    """

    arg_constraints = {"start": constraints.real_vector, "transition": constraints.independent(constraints.real, 2)}
    support = constraints.independent(constraints.real, 2)

    @property
    def varies(self) -> bool:
        """Whether transitions differ from step to step."""
        return self.transition.dim() > 2

    def __init__(
        self, start: Tensor, transition: Tensor, emission: TorchDistribution, steps: int, batch_shape: torch.Size = torch.Size()
    ) -> None:
        self.start, self.transition, self.emission, self.steps = start, transition, emission, steps
        super().__init__(torch.Size(batch_shape), torch.Size((steps, *emission.event_shape)), validate_args=False)

    def expand(self, batch_shape: torch.Size, _instance: object = None) -> "HiddenMarkov":
        return HiddenMarkov(self.start, self.transition, self.emission, self.steps, batch_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        return markov.log_evidence(*self._terms(value))

    def sample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        shape = torch.Size(sample_shape) + self.batch_shape
        return self._shown(_unseen(self.start.expand(*shape, -1), self._moves, self.steps))

    def fill(self, value: Tensor) -> Tensor:
        """`value` (*batch, T, D) with a draw of what is missing given the rest of the series."""
        return shown.follow(self.emission, self.paths(value), value)

    def latents(self, value: Tensor) -> dict[str, Categorical]:
        """p(z_t | x) of the states `z`, batch shape (*batch, T)."""
        return {"z": Categorical(probs=self.smoothed(value)[0])}

    def smoothed(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """p(z_t | x) (*batch, T, K), and the expected transitions of each series up to its last step seen (*batch, K, K)."""
        states, counts = markov.smoothed(*self._terms(value))
        after = torch.arange(1, self.steps, device=value.device) > self._last(value)[..., None]
        if self.varies:
            return states, (counts * ~after[..., None, None]).sum(-3)
        unseen = (states[..., :-1, :] * after[..., None]).sum(-2)
        return states, (counts[..., 0, :, :] - unseen[..., None] * self.transition.exp()).clamp(min=0)

    def filter(self, value: Tensor) -> Categorical:
        """p(z_t | x_1..t), batch shape (*batch, T)."""
        return Categorical(probs=markov.filtered(*self._terms(value))[0].exp())

    def increments(self, value: Tensor) -> Tensor:
        """log p(x_t | x_1..t-1), (*batch, T); they add up to `log_prob`."""
        return markov.filtered(*self._terms(value))[1]

    def decode(self, value: Tensor) -> Tensor:
        """The likeliest path of states, (*batch, T)."""
        return markov.viterbi(*self._terms(value))

    def paths(self, value: Tensor) -> Tensor:
        """A path of states drawn from p(z | x), (*batch, T)."""
        return markov.sample_paths(*self._terms(value))

    def forecast(self, value: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        """A draw of the states (*batch, steps) and values (*batch, steps, D) that follow the last step of which anything was seen.

        Where steps differ from each other, `value` is so much longer than what was seen, and T counts these steps too.
        """
        last = self._last(value)
        now = markov.filtered(*self._terms(value))[0].to(value)
        now = now.take_along_dim(last[..., None, None], -2)[..., 0, :]
        at = last[..., None] + torch.arange(steps, device=value.device)
        moves = self._moves.take_along_dim(at[..., None, None], -3) if self.varies else self._moves
        states = _unseen(now, moves, steps + 1)[..., 1:]
        return states, self._shown(states, value)

    def _last(self, value: Tensor) -> Tensor:
        """(*batch) the number of the last step of which anything was seen."""
        return torch.where((~value.isnan()).any(-1), torch.arange(self.steps, device=value.device), 0).amax(-1)

    def _terms(self, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.start, self._moves, shown.log_steps(self.emission, value)

    @property
    def _moves(self) -> Tensor:
        """(*batch, S, K, K) the transitions, S being 1 where they are the same at all steps."""
        return self.transition if self.varies else self.transition[..., None, :, :]

    def _shown(self, states: Tensor, after: Tensor | None = None) -> Tensor:
        """(*batch, steps, D) a draw of what the states (*batch, steps) show, in new series, or after what is seen of `after`."""
        lags, differ = getattr(self.emission, "lags", 0), len(self.emission.batch_shape) > 1
        if after is None or not (lags or differ):
            return shown.follow(self.emission, states)
        following = self._last(after)[..., None] + 1 + torch.arange(states.shape[-1], device=after.device)
        unseen = after.new_full((*states.shape, after.shape[-1]), torch.nan)
        longer = torch.cat([after, unseen], -2) if lags else after
        path = torch.zeros_like(longer[..., 0], dtype=torch.long).scatter(-1, following, states)
        return shown.follow(self.emission, path, longer if lags else None).take_along_dim(following[..., None], -2)


def _unseen(start: Tensor, moves: Tensor, steps: int) -> Tensor:
    """(*batch, steps) a path of which nothing is seen. start: (*batch, K), moves: (*batch, S, K, K)."""
    nothing = start.new_zeros((*start.shape[:-1], steps, start.shape[-1]))
    return markov.sample_paths(start, moves, nothing)


def stationary(transition: Tensor) -> Tensor:
    """(K,) the distribution pi that probabilities (K, K) of transition leave as it is.

    It solves pi (I - P + 1) = 1, as it is left alone by P and sums to one (Zucchini & MacDonald 2009, section 1.3.2). A chain that
    falls into parts has many such distributions; it gets equal shares.
    """
    ones = torch.ones_like(transition)
    found, info = torch.linalg.solve_ex((_leaving(transition) + ones).mT, ones[..., 0])
    whole = (info == 0)[..., None] & found.isfinite().all(-1, keepdim=True) & (found > -1e-3).all(-1, keepdim=True)
    return torch.where(whole, found, ones[..., 0] / transition.shape[-1])


def _leaving(transition: Tensor) -> Tensor:
    """I - P, its diagonal summed from the other entries: one minus a probability close to one would lose its digits."""
    moves = transition - transition.diagonal(dim1=-2, dim2=-1).diag_embed()
    return moves.sum(-1).diag_embed() - moves
