"""The bounds that a guide of the latents of rows is fitted by, row by row, and their gradients."""

import numpy as np
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor
from torch.func import grad_and_value

from inference.graphs.functorch import traceable
from inference.graphs.graph import batched
from inference.objectives import OBJECTIVES, MeanFieldELBO, NegativeELBO
from inference.program import Program
from tests.linear import BIAS, NOISE, Linear, exact, rows
from tests.test_objectives import Pathless


@pytest.mark.parametrize("batch", [12, 5])
def test_a_divergence_in_closed_form_leaves_no_noise_where_the_decoder_is_blind(batch):
    pair = Linear(off=1.4)
    with torch.no_grad():
        pair.decoder.weight.zero_()
    x = rows()
    program = Program(pair, x)
    objective = MeanFieldELBO(program, pair.guide)
    assert objective.closed == ["z"]
    values = {n: p.detach() for n, p in objective.named_parameters()}
    some = x[:batch]
    found = torch.stack([objective.loss(values, some) for _ in range(3)])
    q = dist.Normal(pair.q_encoder(some), pair.q_scale)
    loss = torch.distributions.kl_divergence(q, dist.Normal(torch.zeros(2), 1.0)).sum() - dist.Normal(BIAS, NOISE).log_prob(some).sum()
    torch.testing.assert_close(found, (loss * 12 / batch).detach().expand(3), rtol=1e-10, atol=0)


ORDERS = [("iwae", {}, 0.0), ("renyi", {"alpha": 0.5}, 0.5), ("renyi", {"alpha": 2.0}, 2.0)]


@pytest.mark.parametrize(("name", "given", "order"), ORDERS)
def test_each_row_has_a_bound_of_its_own(name, given, order):
    pair, x = Linear(), rows(6)
    objective = OBJECTIVES[name](Program(pair, x), pair.guide, particles=3, **given)
    values = {n: p.detach() for n, p in objective.named_parameters()}
    for some in (x, x[:2]):
        with traceable():
            grads, loss = grad_and_value(objective.loss)(values, some)
        torch.testing.assert_close(loss, -exact().log_prob(some).sum() * 6 / len(some), rtol=1e-10, atol=0)
        assert grads["pair.q_scale_unconstrained"].abs().max() < 1e-8


class Score(Linear):
    """Its guide's draws have no gradient."""

    law = Pathless


@pytest.mark.parametrize("cls", [Linear, Score])
@pytest.mark.parametrize(("name", "given", "order"), ORDERS)
def test_the_bounds_of_rows_and_their_gradients_are_right_on_average(name, given, order, cls):
    pair, x = cls(off=1.3), rows(3)
    objective = OBJECTIVES[name](Program(pair, x), pair.guide, particles=2, **given)
    values = {n: p.detach().expand(20_000, *p.shape) for n, p in objective.named_parameters()}

    def total(values: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        each = torch.func.vmap(objective.loss, (0, None), randomness="different")(values, x)
        return each.sum(), each

    with traceable():
        grads, (_, losses) = grad_and_value(total, has_aux=True)(values)
    by_hand = _bound_by_hand(pair, x, order, 200_000)
    slopes = torch.autograd.grad(-by_hand.mean(0).sum(), [pair.q_scale_unconstrained, pair.decoder.weight])
    _near(losses.detach(), -by_hand.detach().sum(1))
    for parameter, slope in zip(("q_scale_unconstrained", "decoder.weight"), slopes, strict=True):
        found = grads[f"pair.{parameter}"]
        error = found.std(0) / len(found) ** 0.5
        assert ((found.mean(0) - slope).abs() < 5 * error + 0.01).all()


def _bound_by_hand(pair: Linear, x: Tensor, order: float, count: int) -> Tensor:
    """(count, rows) the bound of each row by two draws of the guide."""
    q = dist.Normal(pair.q_encoder(x).expand(count, 2, -1, -1), pair.q_scale)
    z = q.rsample()
    log_p = dist.Normal(0.0, 1.0).log_prob(z).sum(-1) + dist.Normal(pair.decoder(z), NOISE).log_prob(x).sum(-1)
    log_w = (1 - order) * (log_p - q.log_prob(z).sum(-1))
    return (log_w.logsumexp(1) - np.log(2)) / (1 - order)


def _near(one: Tensor, other: Tensor) -> None:
    """Two samples have the same mean, up to four standard errors."""
    error = (one.var() / len(one) + other.var() / len(other)).sqrt()
    assert (one.mean() - other.mean()).abs() < 4 * error


def test_rows_with_holes_in_a_minibatch_keep_the_loss_unbiased():
    x = rows(12, holes=True)
    pair = Linear()
    program = Program(pair, x)
    objective = NegativeELBO(program, pair.guide)
    values = {n: p.detach() for n, p in objective.named_parameters()}

    def losses(some: Tensor) -> Tensor:
        return batched(lambda _: objective.loss(values, some), missing=True)(torch.zeros(4000))

    whole, parts = losses(x), torch.cat([losses(part) for part in x.split(3)])
    error = (whole.var() / len(whole) + parts.var() / len(parts)).sqrt()
    assert error < 0.005 * whole.mean().abs()
    assert (whole.mean() - parts.mean()).abs() < 4 * error
