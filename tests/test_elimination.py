"""Discrete latents summed out exactly: small models of every structure against plain enumeration."""

import itertools

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor
from torch.func import grad

from inference import Pair
from inference.graphs.functorch import traceable
from inference.program import Program

START = torch.tensor([0.3, 0.7], dtype=torch.float64)
MOVE = torch.tensor([[0.2, 0.5, 0.3], [0.6, 0.1, 0.3]], dtype=torch.float64)


class TwoLatents(Pair):
    """A row's second latent depends on its first, and the row on both."""

    def __init__(self) -> None:
        pass

    def model(self, x: Tensor, size: int | None = None) -> None:
        locs = pyro.sample("locs", dist.Normal(torch.zeros(2, 3), 1.0).to_event(2))
        with self.rows(x, size):
            a = pyro.sample("a", dist.Categorical(START))
            b = pyro.sample("b", dist.Categorical(MOVE[a]))
            pyro.sample("x", dist.Normal(locs[a, b], 0.8), obs=x)


class Topics(Pair):
    """A row has a kind; each of its words a topic that depends on the kind, or (`apart`) not, beside a value of the kind's."""

    def __init__(self, apart: bool = False) -> None:
        self.apart = apart

    def model(self, x: Tensor, size: int | None = None) -> None:
        locs = pyro.sample("locs", dist.Normal(torch.zeros(3), 1.0).to_event(1))
        words = pyro.plate("words", x.shape[1] - 1, dim=-2)
        with self.rows(x, size):
            kind = pyro.sample("kind", dist.Categorical(START))
            pyro.sample("value", dist.Normal(kind.to(x), 1.0), obs=x[:, 0])
            with words:
                topic = pyro.sample("topic", dist.Categorical(START if self.apart else MOVE[kind]))
                pyro.sample("x", dist.Normal(locs[topic], 0.5), obs=x[:, 1:].T)


class Mixture(Pair):
    """Two components of known place, the weights unknown."""

    def __init__(self) -> None:
        pass

    def model(self, x: Tensor, size: int | None = None) -> None:
        weights = pyro.sample("weights", dist.Dirichlet(torch.ones(2)))
        with self.rows(x, size):
            z = pyro.sample("z", dist.Categorical(logits=weights.log()))
            pyro.sample("x", dist.Normal(torch.tensor([0.0, 60.0])[z], 1.0), obs=x)


class Continuous(Pair):
    """A location a row, and one for all."""

    def __init__(self) -> None:
        pass

    def model(self, x: Tensor, size: int | None = None) -> None:
        loc = pyro.sample("loc", dist.Normal(0.0, 2.0))
        with self.rows(x, size):
            own = pyro.sample("own", dist.Normal(loc, 1.0))
            pyro.sample("x", dist.Normal(own, 0.5), obs=x)


class Outside(Pair):
    """Its discrete site belongs to no row."""

    def __init__(self) -> None:
        pass

    def model(self, x: Tensor, size: int | None = None) -> None:
        regime = pyro.sample("regime", dist.Categorical(START))
        with self.rows(x, size):
            pyro.sample("x", dist.Normal(regime.to(x), 1.0), obs=x)


class NoPlate(Pair):
    """It does not say what belongs to a row."""

    def __init__(self) -> None:
        pass

    def model(self, x: Tensor, size: int | None = None) -> None:
        loc = pyro.sample("loc", dist.Normal(0.0, 1.0))
        pyro.sample("x", dist.Normal(loc, 1.0).expand(x.shape).to_event(1), obs=x)


def _normal(value: Tensor, loc: Tensor | float, scale: float) -> Tensor:
    return torch.distributions.Normal(loc, scale).log_prob(value)


def _two(locs: Tensor, value: Tensor) -> Tensor:
    """(2, 3) log p(a, b, row)."""
    return START.log()[:, None] + MOVE.log() + _normal(value, locs, 0.8)


def _topics(pair: Topics, locs: Tensor, row: Tensor) -> dict[tuple[int, ...], Tensor]:
    """log p(kind, every word's topic, row), for each way to choose them."""
    table = {}
    count = 2 if pair.apart else 3
    for kind, *topics in itertools.product(range(2), *[range(count)] * (len(row) - 1)):
        log = START[kind].log() + _normal(row[0], float(kind), 1.0)
        for word, topic in zip(row[1:], topics, strict=True):
            log = log + (START if pair.apart else MOVE[kind])[topic].log() + _normal(word, locs[topic], 0.5)
        table[(kind, *topics)] = log
    return table


def test_two_latents_of_a_row():
    x, values = torch.randn(5), {"locs": torch.randn(2, 3)}
    program = Program(TwoLatents(), x)
    tables = torch.stack([_two(values["locs"], value) for value in x])
    torch.testing.assert_close(program.log_rows(values, x), tables.logsumexp((1, 2)), rtol=1e-12, atol=0)
    joint = tables.flatten(1).softmax(1).reshape(tables.shape)
    marginals = program.marginals(values, x)
    torch.testing.assert_close(marginals["a"], joint.sum(2))
    torch.testing.assert_close(marginals["b"], joint.sum(1))
    assert program.log_joint(values, x).item() == pytest.approx(
        (_normal(values["locs"], 0, 1).sum() + tables.logsumexp((1, 2)).sum()).item()
    )


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("words", [1, 3])
def test_a_latent_in_a_plate_within_the_row(apart, words):
    pair, x, values = Topics(apart), torch.randn(4, 1 + words), {"locs": torch.randn(3)}
    program = Program(pair, x)
    tables = [_topics(pair, values["locs"], row) for row in x]
    truth = torch.stack([torch.stack(list(table.values())).logsumexp(0) for table in tables])
    torch.testing.assert_close(program.log_rows(values, x), truth, rtol=1e-12, atol=0)
    kinds = torch.stack([torch.stack([sum(v.exp() for k, v in table.items() if k[0] == kind) for kind in (0, 1)]) for table in tables])
    torch.testing.assert_close(program.marginals(values, x)["kind"], kinds / kinds.sum(1, keepdim=True))


def test_a_minibatch_counts_for_all_rows():
    x, values = torch.randn(6), {"locs": torch.randn(2, 3)}
    program = Program(TwoLatents(), x)
    part = Program(TwoLatents(), x[:2], size=6)
    torch.testing.assert_close(part.log_rows(values, x[:2]), program.log_rows(values, x)[:2])
    shared = _normal(values["locs"], 0, 1).sum()
    torch.testing.assert_close(part.log_joint(values, x[:2]), shared + 3 * program.log_rows(values, x)[:2].sum())


def test_continuous_latents_only():
    x, values = torch.randn(5), {"loc": torch.tensor(0.4), "own": torch.randn(5)}
    program = Program(Continuous(), x)
    rows = _normal(values["own"], 0.4, 1.0) + _normal(x, values["own"], 0.5)
    torch.testing.assert_close(program.log_rows(values, x), rows, rtol=1e-12, atol=0)
    torch.testing.assert_close(program.log_joint(values, x), rows.sum() + _normal(values["loc"], 0.0, 2.0), rtol=1e-12, atol=0)
    assert program.marginals(values, x) == {}


def test_a_discrete_site_outside_the_plate_is_refused_by_name():
    with pytest.raises(TypeError, match="discrete site 'regime' is not inside the plate 'data'"):
        Program(Outside(), torch.randn(3))


def test_a_model_without_the_plate_is_refused():
    with pytest.raises(ValueError, match="NoPlate.model has no plate 'data'"):
        Program(NoPlate(), torch.randn(3))


def test_a_tiny_weight_keeps_its_gradient_in_float32():
    torch.set_default_dtype(torch.float32)
    x = torch.tensor([60.0, 59.5, 0.3])
    program = Program(Mixture(), x)
    tiny = torch.tensor([1.0, 1e-12])
    with traceable():
        found = grad(lambda w: program.log_rows({"weights": w}, x).sum())(tiny)
    weights = tiny.double().requires_grad_()
    exact = (weights / weights.sum()).log() + _normal(x.double()[:, None], torch.tensor([0.0, 60.0]).double(), 1.0)
    exact.logsumexp(1).sum().backward()
    assert found.isfinite().all()
    torch.testing.assert_close(found[1].double(), weights.grad[1], rtol=1e-5, atol=0)
    torch.testing.assert_close(program.log_rows({"weights": tiny}, x).double(), exact.detach().logsumexp(1), rtol=1e-5, atol=1e-5)
