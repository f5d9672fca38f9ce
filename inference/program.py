"""A pair's model on given rows, as pure functions of tensors.

The model is run once eagerly, with Pyro's validation on, to learn its sites. After that it is only ever called by torch's
function transforms (`graph`), which batch it over chains or draws and trace it into a graph that no longer holds any Python.
Discrete sites are enumerated in parallel and summed out exactly (`elimination`).
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyro
import torch
from pyro import poutine
from pyro.distributions import TorchDistribution, Unit
from pyro.infer import config_enumerate, infer_discrete
from pyro.poutine import Trace
from torch import Tensor
from torch.distributions.constraints import Constraint

from .graphs.elimination import is_sample, local, row_terms
from .graphs.lacking import Lacking, explained
from .missing import any_missing
from .pair import Pair

Values = dict[str, Tensor]
ATTEMPTS = 50


@dataclass(frozen=True)
class Site:
    """A sample site of the model: its value's shape, its support, whether it is one per row, discrete, or derived."""

    name: str
    shape: torch.Size
    support: Constraint
    local: bool
    discrete: bool
    derived: bool


class Program:
    """The model of `pair` for rows `x`, of a data set of `size` rows (default: these are all).

    `sites` are the latent sites and `derived` the deterministic ones, in the model's order; `observed` names the data's site.

    Raises:
        ValueError: the program does not run on `x`; the message is Pyro's, with the pair and the shape in front.
        TypeError: a discrete site stands outside the plate "data", where it cannot be summed out row by row.
    """

    def __init__(self, pair: Pair, x: Tensor, size: int | None = None) -> None:
        self.pair, self.x, self.size = pair, x, size or len(x)
        self.missing = any_missing(x)
        name = f"{type(pair).__name__}.model"
        trace = run_eagerly(pair.model, name, x, self.size)
        if not any(local(site) for site in trace.nodes.values() if site["type"] == "sample"):
            raise ValueError(f"{name} has no plate 'data': put what belongs to a row inside `with self.rows(x, size):`")
        latent = [s for s in trace.nodes.values() if is_sample(s)]
        self._depth = max([-f.dim for s in latent for f in s["cond_indep_stack"] if f.vectorized], default=0)
        derived = [s for s in latent if s["infer"].get("_deterministic")]
        self.sites = {s["name"]: _site(s) for s in latent if not s["is_observed"]}
        self.derived = {s["name"]: _site(s) for s in derived}
        seen = [s for s in latent if s["is_observed"] and local(s) and s not in derived]
        # What ties the rows of an undirected model to their latents is observed to Pyro, and shows no part of a row.
        self.observed = [s["name"] for s in seen if not (pair.undirected and isinstance(s["fn"], Unit))]
        self._law: TorchDistribution | None = trace.nodes[self.observed[0]]["fn"] if self.observed else None
        for site in self.sites.values():
            if site.discrete and not site.local:
                raise TypeError(
                    f"{name}: the discrete site {site.name!r} is not inside the plate 'data'; "
                    "only discrete sites that belong to one row can be summed out. Move it into the plate, or sum it out by hand."
                )

    def refuse_amortised(self, what: str) -> None:
        """Raise TypeError where a row has a continuous latent of its own, which `what` can do nothing with."""
        if self.amortised:
            raise TypeError(
                f"{type(self.pair).__name__}.model: the latent {next(iter(self.amortised))!r} is continuous and one for each row, of "
                f"which {what} knows nothing: only discrete latents of a row are summed out. Use svi with the pair's own guide, which "
                "draws it given the row; or integrate it out by hand, or draw it outside the plate 'data' if rows share it."
            )

    def refuse_undirected(self, what: str, instead: str) -> None:
        """Raise TypeError where the model is known up to its normaliser only, which `what` would need at every step."""
        if self.pair.undirected:
            raise TypeError(
                f"{type(self.pair).__name__}: its density is known up to a normaliser, which depends on what is learnt, and {what} "
                f"takes no account of it; use {instead}"
            )

    def knows(self, method: str) -> bool:
        """Whether the observed distribution has a method of its own called `method`."""
        return hasattr(self._law, method)

    @property
    def support(self) -> Constraint:
        """Of the observed distribution."""
        return self._law.support

    @property
    def has_mean(self) -> bool:
        """Whether the observed distribution is of whole rows, has a mean, and knows it."""
        try:
            with explained("there is no mean"):
                mean = self._law.mean
        except Lacking:
            return False
        return mean.numel() == self.x.numel() and not bool(mean.isnan().any())

    @property
    def parameters(self) -> dict[str, Site]:
        """The continuous latent sites shared by all rows: what a posterior has draws of."""
        return {n: s for n, s in self.sites.items() if not s.local}

    @property
    def continuous(self) -> dict[str, Site]:
        """All continuous latent sites, those of rows too: what a guide draws, and what samplers move."""
        return {n: s for n, s in self.sites.items() if not s.discrete}

    @property
    def locals(self) -> dict[str, Site]:
        """The latent sites that each row has of its own."""
        return {n: s for n, s in self.sites.items() if s.local}

    @property
    def amortised(self) -> dict[str, Site]:
        """The latents of each row that are not summed out: the guide draws them given the row (`amortised.py`)."""
        return {n: s for n, s in self.locals.items() if not s.discrete}

    def batch_axis(self, x: Tensor) -> int | None:
        """Along which axis of `x` each member of a batch of fits or chains has rows of its own; None where they share them.

        Shared rows are shaped like the program's, (rows, ...); rows of their own have one axis in front, (member, rows, ...).
        """
        return 0 if x.dim() > self.x.dim() else None

    def trace(self, values: Values, x: Tensor) -> Trace:
        """One run of the model with the given (constrained) values at its sites and its discrete sites enumerated."""
        model = poutine.condition(config_enumerate(self.pair.model, "parallel"), data=values)
        trace = poutine.trace(poutine.enum(model, first_available_dim=-1 - self._depth)).get_trace(x, self.size)
        trace.compute_log_prob()
        return trace

    def log_rows(self, values: Values, x: Tensor) -> Tensor:
        """(rows,) log of p(row, its continuous latents in `values` | parameters), its discrete latents summed out."""
        return row_terms(self.trace(values, x), len(x) / self.size)

    def log_joint(self, values: Values, x: Tensor) -> Tensor:
        """Scalar, in double precision: log p(values, x), its discrete latents summed out; a minibatch `x` stands for `size` rows.

        Single precision would lose a tenth of a nat in the sum over 10^5 rows.
        """
        trace = self.trace(values, x)
        shared = sum(s["log_prob_sum"] for s in trace.nodes.values() if is_sample(s) and not local(s))
        rows = row_terms(trace, len(x) / self.size).sum(dtype=torch.double)
        return shared + (rows if len(x) == self.size else rows * (self.size / len(x)))

    def marginals(self, values: Values, x: Tensor) -> Values:
        """p(z | row, parameters) of every discrete latent z of a row, (rows, categories).

        A marginal is the gradient of the row's log evidence in a potential added to z.
        """
        trace = self.trace(values, x)
        sites = {n: trace.nodes[n] for n, s in self.locals.items() if s.discrete}
        potentials = {n: torch.zeros_like(s["log_prob"]) for n, s in sites.items()}
        grads = torch.func.grad(lambda p: row_terms(trace, len(x) / self.size, p).sum())(potentials)
        return {n: _category_last(grads[n], s["infer"]["_enumerate_dim"], self._depth) for n, s in sites.items()}

    def observation(self, values: Values, x: Tensor) -> tuple[TorchDistribution, Tensor]:
        """The observed distribution given the shared values, and the rows `x` as its site has them."""
        site = poutine.trace(poutine.condition(self.pair.model, data=values)).get_trace(x, self.size).nodes[self.observed[0]]
        return site["fn"], site["value"]

    def expected(self, values: Values, x: Tensor) -> Tensor:
        """(rows, ...) the mean of the observed distribution given the values, averaged over a discrete latent given its row.

        Raises TypeError for rows with several discrete latents.
        """
        mean = self.trace(values, x).nodes[self.observed[0]]["fn"].mean
        probabilities = [*self.marginals(values, x).values()] if len(self.locals) > len(self.amortised) else []
        if not probabilities:
            return mean.reshape(x.shape)
        if len(probabilities) > 1:
            raise TypeError(f"{type(self.pair).__name__}: rows with several discrete latents cannot be reconstructed")
        weights = probabilities[0].mT
        return torch.einsum("kn,kn...->n...", weights, mean.expand(*weights.shape, *mean.shape[2:])).reshape(x.shape)

    def draw_rows(self, values: Values, x: Tensor) -> Trace:
        """One run of the model with its discrete latents drawn from their posterior given the rows `x`."""
        model = poutine.condition(config_enumerate(self.pair.model, "parallel"), data=values)
        drawn = infer_discrete(model, first_available_dim=-1 - self._depth, strict_enumeration_warning=False)
        return poutine.trace(drawn).get_trace(x, self.size)

    def derive(self, values: Values, x: Tensor) -> Values:
        """The values of the deterministic sites that belong to no row; one row is enough to know them."""
        trace = poutine.trace(poutine.condition(self.pair.model, data=values)).get_trace(x[:1], self.size)
        return {name: trace.nodes[name]["value"] for name, site in self.derived.items() if not site.local}


def run_unobserved(model: Callable, values: Values, x: Tensor) -> Trace:
    """One run of a model given `values`, all else drawn, the rows too; of `x` (rows, ...) it takes the shape."""
    return poutine.trace(poutine.condition(poutine.uncondition(model), data=values)).get_trace(x)


def run_eagerly(function: Callable, name: str, x: Tensor, size: int) -> Trace:
    """One plain run of a Pyro program called `name`, with Pyro's validation on. Raises ValueError that passes its message on."""
    for attempt in range(ATTEMPTS):
        try:
            with torch.no_grad(), pyro.validation_enabled(True), pyro.settings.context(module_local_params=True):
                trace = poutine.trace(function).get_trace(x, size)
                with warnings.catch_warnings():
                    # What the prior drew may make these rows impossible: a fit asks again where it starts.
                    warnings.filterwarnings("ignore", "Encountered NaN")
                    trace.compute_log_prob()
                return trace
        except (ValueError, RuntimeError, TypeError, AttributeError, IndexError, KeyError) as error:
            # Whether the rows lie in the support may depend on what the prior drew, as in Uniform(0, m): draw again.
            if "support" not in str(error) or attempt + 1 == ATTEMPTS:
                raise ValueError(f"{name} does not run on x of shape {tuple(x.shape)}: {error}") from error
    raise AssertionError("the last attempt returns or raises")


def _site(site: dict[str, Any]) -> Site:
    fn, derived = site["fn"], bool(site["infer"].get("_deterministic"))
    return Site(site["name"], site["value"].shape, fn.support, local(site), not derived and fn.has_enumerate_support, derived)


def _category_last(marginal: Tensor, dim: int, depth: int) -> Tensor:
    """(rows, categories) from a tensor with the categories at `dim`, the rows in the last `depth` dims."""
    others = [d for d in range(-marginal.dim(), -depth) if d != dim]
    marginal = marginal.sum(others, keepdim=True) if others else marginal
    return marginal.movedim(dim, -1).reshape(-1, marginal.shape[dim])
