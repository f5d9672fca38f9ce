"""Series that several hidden Markov chains make together as a distribution: one chain over the product of their states."""

import torch
from pyro.distributions import Categorical, TorchDistribution
from torch import Tensor
from torch.distributions import constraints

from .hidden_markov import HiddenMarkov


class FactorialHiddenMarkov(TorchDistribution):
    """Series x of T steps: M independent chains z_m, and x_t ~ emission[z_t1, ..., z_tM]; `NaN` is integrated out.

    The recursions run over all K^M product states, whose transition is the Kronecker product of the chains'; given the series the
    chains are not independent. What is asked of the states is told of each chain.

    Arguments:
        start: (M, K) log probabilities. transition: (M, K, K) log probabilities, from a state (row) to the next (column).
        emission: of a product state, batch shape (K^M,) in the order of `product_states`, otherwise as in `HiddenMarkov`. steps: T.
    """

    arg_constraints = {"start": constraints.real, "transition": constraints.independent(constraints.real, 2)}
    support = constraints.independent(constraints.real, 2)

    def __init__(
        self, start: Tensor, transition: Tensor, emission: TorchDistribution, steps: int, batch_shape: torch.Size = torch.Size()
    ) -> None:
        self.start, self.transition, self.emission, self.steps = start, transition, emission, steps
        self.product = HiddenMarkov(sums(start), _kronecker(transition), emission, steps, batch_shape)
        super().__init__(self.product.batch_shape, self.product.event_shape, validate_args=False)

    def expand(self, batch_shape: torch.Size, _instance: object = None) -> "FactorialHiddenMarkov":
        return FactorialHiddenMarkov(self.start, self.transition, self.emission, self.steps, batch_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        return self.product.log_prob(value)

    def sample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        return self.product.sample(sample_shape)

    def fill(self, value: Tensor) -> Tensor:
        """`value` (*batch, T, D) with a draw of what is missing given the rest of the series."""
        return self.product.fill(value)

    def latents(self, value: Tensor) -> dict[str, Categorical]:
        """p(z_tm | x) of the states `z`, batch shape (*batch, T, M)."""
        return {"z": self._each(self.product.smoothed(value)[0])}

    def smoothed(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """p(z_t | x) of the product states (*batch, T, K^M), and the expected transitions of each chain (*batch, M, K, K)."""
        states, moves = self.product.smoothed(value)
        chains, count = self.start.shape
        apart = moves.unflatten(-1, (count,) * chains).unflatten(-1 - chains, (count,) * chains)
        axes = range(moves.dim() - 2, apart.dim())
        each = [apart.sum([a for a in axes if a not in (axes[m], axes[chains + m])]) if chains > 1 else apart for m in range(chains)]
        return states, torch.stack(each, -3)

    def filter(self, value: Tensor) -> Categorical:
        """p(z_tm | x_1..t), batch shape (*batch, T, M)."""
        return self._each(self.product.filter(value).probs)

    def increments(self, value: Tensor) -> Tensor:
        """log p(x_t | x_1..t-1), (*batch, T); they add up to `log_prob`."""
        return self.product.increments(value)

    def decode(self, value: Tensor) -> Tensor:
        """The path of states of every chain that are likeliest together, (*batch, T, M)."""
        return self._apart(self.product.decode(value))

    def paths(self, value: Tensor) -> Tensor:
        """Paths of states drawn from p(z | x), (*batch, T, M)."""
        return self._apart(self.product.paths(value))

    def forecast(self, value: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        """A draw of the states (*batch, steps, M) and values (*batch, steps, D) that follow the last step of which anything was seen."""
        states, values = self.product.forecast(value, steps)
        return self._apart(states), values

    def _apart(self, states: Tensor) -> Tensor:
        """(..., M) the state of each chain, from product states (...)."""
        return product_states(*self.start.shape, self.start.device)[states]

    def _each(self, probabilities: Tensor) -> Categorical:
        """The law of each chain's state, from probabilities (..., K^M) of product states."""
        count = self.start.shape[-1]
        shown = torch.nn.functional.one_hot(product_states(*self.start.shape, self.start.device), count)
        return Categorical(probs=torch.einsum("...s,smk->...mk", probabilities, shown.to(probabilities)))


def product_states(chains: int, states: int, device: torch.device | None = None) -> Tensor:
    """(K^M, M) the state of each of M chains in all product states; the last chain's changes first."""
    each = torch.arange(states, device=device)
    return torch.cartesian_prod(*[each] * chains).reshape(-1, chains)


def sums(terms: Tensor) -> Tensor:
    """(..., K^M) from terms (..., M, K): those of each product state added up."""
    total = terms[..., 0, :]
    for chain in range(1, terms.shape[-2]):
        total = (total[..., :, None] + terms[..., chain, None, :]).flatten(-2)
    return total


def _kronecker(transition: Tensor) -> Tensor:
    """(K^M, K^M) log probabilities of the product states' transition, from those of the chains (M, K, K)."""
    chains, states = transition.shape[:2]
    apart = sums(transition.flatten(1)).reshape([states] * (2 * chains))
    return apart.permute(*range(0, 2 * chains, 2), *range(1, 2 * chains, 2)).reshape(states**chains, states**chains)
