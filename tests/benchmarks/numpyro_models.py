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


def hmm_example(x: Array) -> None:
    """Nothing is said of the first step's state."""
    rows = [numpyro.sample(name, dist.Dirichlet(jnp.ones(2))) for name in ("theta1", "theta2")]
    mu = numpyro.sample("mu", dist.ImproperUniform(dist.constraints.positive_ordered_vector, (), (2,)))
    numpyro.factor("ordered", dist.Normal(jnp.array([3.0, 10.0]), 1.0).log_prob(mu).sum())
    numpyro.factor("x", forward(jnp.zeros(2), jnp.log(jnp.stack(rows)), dist.Normal(mu, 1.0).log_prob(x[0, :, None])))


def chain(x: Array) -> None:
    """The defaults of our pair that are read off this series."""
    initial = numpyro.sample("initial", dist.Dirichlet(jnp.ones(3)))
    transition = numpyro.sample("transition", dist.Dirichlet(jnp.ones((3, 3))).to_event(1))
    precisions = numpyro.sample("precisions", dist.Gamma(1.5, 0.5 * (jnp.std(x) / 3) ** 2).expand([3, 1]).to_event(2))
    locs = numpyro.sample("locs", dist.Normal(jnp.mean(x), (0.01 * precisions) ** -0.5).to_event(2))
    terms = dist.Normal(locs[:, 0], precisions[:, 0] ** -0.5).log_prob(x[0, :, None])
    numpyro.factor("x", forward(jnp.log(initial), jnp.log(transition), terms))


def forward(start: Array, moves: Array, terms: Array) -> Array:
    """The log evidence of a series of which each state's log densities are terms (T, K)."""

    def step(before: Array, term: Array) -> tuple[Array, None]:
        return jax.nn.logsumexp(before[:, None] + moves, axis=0) + term, None

    last, _ = jax.lax.scan(step, start + terms[0], terms[1:])
    return jax.nn.logsumexp(last)


# Where chains set out, if not from the prior's middle: where components are all alike.
STARTS = {
    "chain": {
        "initial": jnp.ones(3) / 3,
        "transition": jnp.array([[0.95, 0.03, 0.02], [0.05, 0.9, 0.05], [0.02, 0.08, 0.9]]),
        "locs": jnp.array([[-2.0], [0.0], [2.5]]),
        "precisions": jnp.array([[1.6], [2.8], [1.0]]),
    }
}
MODELS = {
    "mixture": mixture,
    "enumerated": enumerated,
    "schools": schools,
    "gaussian": gaussian,
    "funnel": funnel,
    "hmm_example": hmm_example,
    "chain": chain,
}
