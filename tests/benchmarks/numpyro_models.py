"""The same posteriors as NumPyro programs."""

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax import Array


def mixture(x: Array) -> None:
    """The component summed out by hand."""
    theta = numpyro.sample("theta", dist.Beta(5.0, 5.0))
    mu = numpyro.sample("mu", dist.ImproperUniform(dist.constraints.ordered_vector, (), (2,)))
    numpyro.factor("ordered", dist.Normal(0.0, 2.0).log_prob(mu).sum())
    sigma = numpyro.sample("sigma", dist.HalfNormal(2.0).expand([2]).to_event(1))
    terms = dist.Normal(mu, sigma).log_prob(x) + jnp.log(jnp.stack([theta, 1 - theta]))
    numpyro.factor("x", jax.nn.logsumexp(terms, -1).sum())


def enumerated(x: Array) -> None:
    """The component summed out by NumPyro."""
    theta = numpyro.sample("theta", dist.Beta(5.0, 5.0))
    mu = numpyro.sample("mu", dist.ImproperUniform(dist.constraints.ordered_vector, (), (2,)))
    numpyro.factor("ordered", dist.Normal(0.0, 2.0).log_prob(mu).sum())
    sigma = numpyro.sample("sigma", dist.HalfNormal(2.0).expand([2]).to_event(1))
    with numpyro.plate("data", len(x)):
        z = numpyro.sample("z", dist.Categorical(jnp.stack([theta, 1 - theta])), infer={"enumerate": "parallel"})
        numpyro.sample("x", dist.Normal(mu[z], sigma[z]), obs=x[:, 0])


def schools(x: Array) -> None:
    """Non-centred."""
    mu = numpyro.sample("mu", dist.Normal(0.0, 5.0))
    tau = numpyro.sample("tau", dist.HalfCauchy(5.0))
    standard = numpyro.sample("theta_trans", dist.Normal(0.0, 1.0).expand([8]).to_event(1))
    theta = numpyro.deterministic("theta", mu + tau * standard)
    with numpyro.plate("data", 8):
        numpyro.sample("x", dist.Normal(theta, x[:, 1]), obs=x[:, 0])


def gaussian(x: Array) -> None:
    """A regression of 100 slopes."""
    slopes = numpyro.sample("slopes", dist.Normal(0.0, 1.0).expand([x.shape[1] - 1]).to_event(1))
    with numpyro.plate("data", len(x)):
        numpyro.sample("x", dist.Normal(x[:, 1:] @ slopes, 1.0), obs=x[:, 0])


def funnel(x: Array) -> None:
    """Neal's, centred."""
    along = numpyro.sample("along", dist.Normal(0.0, 3.0))
    numpyro.sample("across", dist.Normal(0.0, jnp.exp(along / 2)).expand([9]).to_event(1))


MODELS = {"mixture": mixture, "enumerated": enumerated, "schools": schools, "gaussian": gaussian, "funnel": funnel}
