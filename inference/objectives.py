"""What a fit minimises."""

from collections.abc import Callable

import torch
from pyro import poutine
from pyro.poutine import Trace
from torch import Tensor
from torch.func import functional_call

from .elimination import is_sample
from .program import Program, Values, run_eagerly


class NegativeELBO(torch.nn.Module):
    """E_q[log q(latents) - log p(latents, x)], by `particles` draws from the guide; discrete sites are summed out of p.

    The gradient goes along the path of the draws only: the guide's density is taken at detached parameters, which leaves the
    gradient unbiased and makes it vanish where the guide is exact.

    Source: Roeder, Wu & Duvenaud 2017, "Sticking the landing: simple, lower-variance gradient estimators for variational
    inference", NeurIPS.
    """

    def __init__(self, program: Program, guide: Callable, particles: int = 1) -> None:
        super().__init__()
        self.program, self.particles = program, particles
        self.pair, self.guide = program.pair, guide

    def loss(self, parameters: Values, x: Tensor) -> Tensor:
        """Scalar loss of the rows `x`, standing for all rows of the program, at the given values of `named_parameters`."""
        return sum(self._one(parameters, x) for _ in range(self.particles)) / self.particles

    def _one(self, parameters: Values, x: Tensor) -> Tensor:
        trace, log_p = functional_call(self, parameters, (x,))
        fixed = {name: value.detach() for name, value in parameters.items()}
        return functional_call(self, fixed, (x, trace)) - log_p

    def forward(self, x: Tensor, drawn: Trace | None = None) -> tuple[Trace, Tensor] | Tensor:
        """A run of the guide and the log joint density at its draws; or, of draws made before, their log density."""
        if drawn is not None:
            return log_density(poutine.trace(poutine.replay(self.guide, drawn)).get_trace(x, self.program.size), x)
        trace = poutine.trace(self.guide).get_trace(x, self.program.size)
        return trace, self.program.log_joint(values_of(trace, self.program), x)


def run_guide(program: Program, guide: Callable, x: Tensor) -> tuple[Values, Tensor]:
    """One draw of the guide for rows `x`: its values at the model's sites, and their log density (scalar)."""
    trace = poutine.trace(guide).get_trace(x, program.size)
    return values_of(trace, program), log_density(trace, x)


def values_of(trace: Trace, program: Program) -> Values:
    """What a run of the guide drew for the sites of the model."""
    return {name: site["value"] for name, site in _sample_sites(trace).items() if name in program.sites}


def log_density(trace: Trace, x: Tensor) -> Tensor:
    """Scalar: the log density of all that a run of the guide drew."""
    trace.compute_log_prob()
    return sum((site["log_prob_sum"] for site in _sample_sites(trace).values()), x.new_zeros(()))


def check_guide(program: Program, guide: Callable, x: Tensor) -> None:
    """Refuse a guide that does not match its model.

    Raises:
        ValueError: the guide lacks a continuous latent site of the model, has one too many, draws a discrete one, has a draw
            without a gradient, or a shape that differs; the message names the site.
    """
    name = type(program.pair).__name__
    trace = run_eagerly(guide, f"{name}.guide", x, program.size)
    sites = {n: s for n, s in _sample_sites(trace).items() if not s["infer"].get("is_auxiliary")}
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
        if not site["fn"].has_rsample:
            raise ValueError(f"{name}.guide draws {site_name!r} from {type(site['fn']).__name__}, which has no reparameterised draw")


def _sample_sites(trace: Trace) -> dict:
    return {name: site for name, site in trace.nodes.items() if is_sample(site)}
