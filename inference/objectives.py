"""What a fit minimises: minus a bound on the log evidence, by draws from the guide; discrete latents are summed out exactly."""

import math
from collections.abc import Callable
from typing import Any

import torch
from pyro import poutine
from pyro.distributions.util import scale_and_mask
from pyro.poutine import Trace
from torch import Tensor
from torch.distributions import kl_divergence
from torch.func import functional_call, vmap

from .graphs.elimination import is_sample, local, row_terms
from .graphs.lacking import Lacking, explained
from .objective import Objective
from .program import Program, Values, run_eagerly


class RenyiBound(Objective):
    """Minus the variational Renyi bound of order `alpha`, by `particles` draws from the guide.

    With w = p(latents, x) / q(latents) at each of k draws, the bound is log(mean of w^(1 - alpha)) / (1 - alpha). At alpha = 1
    that is the ELBO, at alpha = 0 the importance weighted bound, and below the evidence for all alpha >= 0.

    The gradient is doubly reparameterised: it goes along the path of the draws only, and vanishes where the guide is exact.
    With s = softmax((1 - alpha) log w), draw i counts alpha s_i + (1 - alpha) s_i^2 times. Where the guide draws a site that
    has no such path, the bound is differentiated as it stands and log q of that site is weighed by what draw i adds to the bound.

    Arguments:
        particles: k, draws from the guide.

    Raises:
        ValueError: what `check_guide` raises, or one particle for a guide that has sites without a path.

    Sources: Li & Turner 2016, "Renyi divergence variational inference", NeurIPS; Tucker, Lawson, Gu & Maddison 2019, "Doubly
    reparameterized gradient estimators for Monte Carlo objectives", ICLR; Daudel, Benton, Shi & Doucet 2023, "Alpha-divergence
    variational inference meets importance weighted auto-encoders", JMLR 24; Mnih & Rezende 2016, "Variational inference for
    Monte Carlo objectives", ICML.
    """

    def __init__(self, program: Program, guide: Callable, particles: int = 1, alpha: float = 0.5) -> None:
        super().__init__(program, guide)
        program.refuse_undirected("a bound on the evidence", "objective='contrastive'")
        self.particles, self.alpha = particles, alpha
        sites = check_guide(program, guide, program.x)
        # At alpha = 1 the two are the same, and the sum is cheaper.
        self.by_row = alpha != 1 and bool(program.amortised) and not program.parameters
        self.pathless = [name for name, site in sites.items() if not site["fn"].has_rsample]
        if self.pathless and particles < 2:
            raise ValueError(
                f"{type(self.pair).__name__}.guide draws {self.pathless[0]!r} without a reparameterised draw, so that its gradient "
                f"must compare draws with each other: particles={particles} must be at least 2"
            )

    def loss(self, parameters: Values, x: Tensor) -> Tensor:
        """See `Objective`."""
        if self.particles == 1:  # not batched: matrix products of a batch of one are slower than those of none
            terms = {name: term[None] for name, term in self._draw(parameters, x).items()}
        else:
            terms = vmap(lambda _: self._draw(parameters, x), randomness="different")(x.new_zeros(self.particles))
        bound = self._bound(terms["log_w"])
        if self.pathless:
            added = bound - self._bound(_others(terms["log_w"]))
            followed = bound + (added.detach() * terms["log_pathless"]).sum(0)
        else:
            share = torch.softmax((1 - self.alpha) * terms["log_w"].detach(), 0)
            along = self.alpha * share + (1 - self.alpha) * share.square()
            followed = (along * terms["log_w"]).sum(0) + ((share - along) * terms["log_p"]).sum(0)
        loss = (followed.detach() - followed) - bound.detach()
        return loss.sum(dtype=torch.double) * (self.program.size / len(x)) if self.by_row else loss

    def _draw(self, parameters: Values, x: Tensor) -> dict[str, Tensor]:
        """Of one draw, scalars or (rows,): its log weight, and what the gradient needs beside."""
        drawn = functional_call(self, parameters, (self._guide, x))
        values = values_of(drawn, self.program)
        density = self.program.log_rows if self.by_row else self.program.log_joint
        log_p = functional_call(self, parameters, (density, values, x))
        if self.pathless:
            log_w = log_p - self._log_q(drawn, x) + self._control(parameters, drawn, drawn, x)
            return {"log_w": log_w, "log_pathless": self._log_q(drawn, x, self.pathless)}
        fixed = {name: value.detach() for name, value in parameters.items()}
        again = functional_call(self, fixed, (self._guide, x, drawn))
        log_w = log_p - self._log_q(again, x) + self._control(parameters, drawn, again, x)
        if self.alpha == 1:  # nothing but the weight is followed
            return {"log_w": log_w, "log_p": log_p}
        held = {name: value.detach() for name, value in values.items()}
        return {"log_w": log_w, "log_p": functional_call(self, parameters, (density, held, x))}

    def _guide(self, x: Tensor, drawn: Trace | None = None) -> Trace:
        """A run of the guide, with the draws of an earlier one if given."""
        guide = self.guide if drawn is None else poutine.replay(self.guide, drawn)
        trace = poutine.trace(guide).get_trace(x, self.program.size)
        # Now, while the parameters are in their place: a flow asks its networks only when its density is asked for.
        trace.compute_log_prob()
        return trace

    def _log_q(self, trace: Trace, x: Tensor, only: list[str] | None = None) -> Tensor:
        """The log density of what a run of the guide drew, at all sites or `only` some: a scalar, or (rows,)."""
        if not self.by_row:
            return log_density(trace, x, only)
        trace.compute_log_prob()
        return row_terms(trace, len(x) / self.program.size, only=only)

    def _control(self, parameters: Values, drawn: Trace, again: Trace, x: Tensor) -> Tensor | float:
        """Scalar of mean zero to add to the log weight of a draw, which `again` has at held parameters."""
        return 0.0

    def _bound(self, log_w: Tensor) -> Tensor:
        """The bound from log weights (k, ...)."""
        if self.alpha == 1:
            return log_w.mean(0)
        return (((1 - self.alpha) * log_w).logsumexp(0) - math.log(len(log_w))) / (1 - self.alpha)


class NegativeELBO(RenyiBound):
    """E_q[log q(latents) - log p(latents, x)]: the bound of order 1, whose gradient is the one that "sticks the landing".

    Source: Roeder, Wu & Duvenaud 2017, "Sticking the landing: simple, lower-variance gradient estimators for variational
    inference", NeurIPS.
    """

    def __init__(self, program: Program, guide: Callable, particles: int = 1) -> None:
        super().__init__(program, guide, particles, alpha=1.0)


class NegativeIWAE(RenyiBound):
    """Minus the importance weighted bound, E[log(mean of p(latents, x) / q(latents) over `particles` draws)]: order 0.

    Where rows share no latent, the sum of the rows' own bounds, as the source has it.

    Source: Burda, Grosse & Salakhutdinov 2016, "Importance weighted autoencoders", ICLR.
    """

    def __init__(self, program: Program, guide: Callable, particles: int = 1) -> None:
        super().__init__(program, guide, particles, alpha=0.0)


class MeanFieldELBO(NegativeELBO):
    """The negative ELBO with KL(q || p) of a site in closed form, where torch has one and the guide draws it independently.

    For those sites log q - log p at the draw gives way to its mean given what the prior depends on. That lowers the noise where
    the guide is narrower than the posterior or the prior rules; near the posterior "elbo" has less, and none where it is exact.
    """

    def __init__(self, program: Program, guide: Callable, particles: int = 1) -> None:
        super().__init__(program, guide, particles)
        self.closed = _closed_sites(program, guide, program.x)

    def _control(self, parameters: Values, drawn: Trace, again: Trace, x: Tensor) -> Tensor | float:
        prior = functional_call(self, parameters, (self.program.trace, values_of(drawn, self.program), x)).nodes
        total = 0.0
        for name in self.closed:
            site = drawn.nodes[name]
            at_draw = again.nodes[name]["log_prob_sum"] - prior[name]["log_prob_sum"]
            exact = scale_and_mask(kl_divergence(site["fn"], prior[name]["fn"]), site["scale"], site["mask"])
            total = total + at_draw - exact.sum()
        return total


OBJECTIVES = {"elbo": NegativeELBO, "iwae": NegativeIWAE, "renyi": RenyiBound, "mean_field": MeanFieldELBO}


def _others(log_w: Tensor) -> Tensor:
    """(k - 1, k, ...) from (k, ...): all but one."""
    count = len(log_w)
    others = [[j for j in range(count) if j != i] for i in range(count)]
    return log_w[torch.tensor(others, device=log_w.device).mT]


def _closed_sites(program: Program, guide: Callable, x: Tensor) -> list[str]:
    """The continuous sites whose KL from guide to prior torch knows, and that the guide draws independently of its others."""
    first, second = (run_eagerly(guide, "the guide", x, program.size) for _ in range(2))
    sites = sample_sites(first)
    values = {name: site["value"] for name, site in sites.items()}
    linked = set()
    for name in sites:
        changed = values | {name: second.nodes[name]["value"]}
        again = run_eagerly(poutine.condition(guide, data=changed), "the guide", x, program.size)
        others = [n for n in sites if n != name and not torch.equal(again.nodes[n]["log_prob"], sites[n]["log_prob"])]
        linked |= {name, *others} if others else set()
    with torch.no_grad():
        prior = program.trace(values_of(first, program), x).nodes
    alone = [name for name, site in program.sites.items() if not site.discrete and name in sites and name not in linked]
    return [name for name in alone if _has_kl(sites[name]["fn"], prior[name]["fn"])]


def _has_kl(q: Any, p: Any) -> bool:
    if q.batch_shape != p.batch_shape:  # the prior of a row's latent leans on a discrete one, which is enumerated
        return False
    try:
        with explained("no divergence is known in closed form"):
            return bool(kl_divergence(q, p).sum().isfinite())
    except Lacking:
        return False


def run_guide(program: Program, guide: Callable, x: Tensor) -> tuple[Values, Tensor]:
    """One draw of the guide for rows `x`: its values at the model's sites, and their log density (scalar)."""
    trace = poutine.trace(guide).get_trace(x, program.size)
    return values_of(trace, program), log_density(trace, x)


def values_of(trace: Trace, program: Program) -> Values:
    """What a run of the guide drew for the sites of the model."""
    return {name: site["value"] for name, site in sample_sites(trace).items() if name in program.sites}


def log_density(trace: Trace, x: Tensor, only: list[str] | None = None) -> Tensor:
    """Scalar: the log density of all that a run of the guide drew, or of `only` some sites."""
    trace.compute_log_prob()
    counted = [site for name, site in sample_sites(trace).items() if only is None or name in only]
    return sum((site["log_prob_sum"] for site in counted), x.new_zeros(()))


def check_guide(program: Program, guide: Callable, x: Tensor) -> dict[str, dict[str, Any]]:
    """The sample sites of one run of a guide that matches its model.

    Raises:
        ValueError: the guide lacks a continuous latent site of the model, has one too many, draws a discrete one, or has a shape
            that differs, or a side of the plate "data"; the message names the site.
    """
    name = type(program.pair).__name__
    trace = run_eagerly(guide, f"{name}.guide", x, program.size)
    sites = {n: s for n, s in sample_sites(trace).items() if not s["infer"].get("is_auxiliary")}
    wanted = {n for n, s in program.sites.items() if not s.discrete}
    for missing in sorted(wanted - set(sites)):
        raise ValueError(f"{name}.guide has no site {missing!r}, which the model draws; it has {', '.join(sites) or 'none'}")
    for site_name, site in sites.items():
        if site_name not in wanted:
            why = "is discrete there and summed out" if site_name in program.sites else "does not exist there"
            raise ValueError(f"{name}.guide draws {site_name!r}, which in the model {why}; remove it from the guide")
        if site["value"].shape != program.sites[site_name].shape:
            shapes = f"{tuple(site['value'].shape)} in the guide and {tuple(program.sites[site_name].shape)} in the model"
            raise ValueError(f"{name}: the site {site_name!r} has shape {shapes}; they must agree")
        if local(site) != program.sites[site_name].local:
            where = "inside" if program.sites[site_name].local else "outside"
            raise ValueError(f"{name}.guide draws {site_name!r} on the other side of the plate 'data'; draw it {where}, as the model does")
    return sample_sites(trace)


def sample_sites(trace: Trace) -> dict[str, dict[str, Any]]:
    """The sample statements of a run, by name."""
    return {name: site for name, site in trace.nodes.items() if is_sample(site)}
