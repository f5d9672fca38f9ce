"""Contrastive divergence: its gradient against that of the likelihood, tempering against all states, chains carried on, refusals."""

from functools import partial

import pytest
import torch
from torch import Tensor
from torch.func import functional_call, grad

import inference
import zoo
from inference.amortised import log_weight
from inference.fitting.restarts import Batch
from inference.graphs.graph import traced
from inference.program import Program
from inference.recipe import Recipe
from inference.undirected.contrastive import ContrastiveDivergence
from inference.undirected.gibbs import Coupled
from inference.undirected.tempering import tempered
from tests.oracles.rbm import states

BITS = (torch.rand(40, 5, generator=torch.Generator().manual_seed(1)) < torch.linspace(0.2, 0.8, 5)).double()


def machine(visible: int, hidden: int) -> inference.Pair:
    torch.manual_seed(3)
    pair = zoo.create("rbm", dim=visible, hidden=hidden, weight_decay=0.1)
    with torch.no_grad():
        pair.weights.normal_()
        pair.visible_bias.normal_()
        pair.hidden_bias.normal_()
    return pair


def test_its_gradient_is_that_of_the_likelihood_once_its_chains_are_draws():
    pair, every = machine(5, 4), torch.tensor(states(5))
    objective = ContrastiveDivergence(Program(pair, BITS), pair.guide, particles=40_000, sweeps=60)
    values = {name: value.detach() for name, value in objective.named_parameters()}

    def minus_log_likelihood(values: dict[str, Tensor]) -> Tensor:
        def density(rows: Tensor) -> Tensor:
            return functional_call(objective, values, (log_weight, Program(pair, rows), {}, rows))[1]

        decay = 0.05 * values["pair.weights"].square().sum()
        return density(every).logsumexp(0) - density(BITS).mean() + decay

    truth = grad(minus_log_likelihood)(values)
    found, _ = grad(objective.step, has_aux=True)(values, BITS, objective.begin(BITS))
    assert truth["pair.weights"].abs().max() > 0.1
    for name, value in truth.items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=4 * 0.5 / 40_000**0.5)


@pytest.mark.parametrize(("places", "moves"), [(8, True), (1, False)])
def test_tempered_chains_find_the_mode_that_plain_ones_do_not_reach(places, moves):
    pair = zoo.create("rbm", hidden=2, dim=8)
    with torch.no_grad():
        pair.weights.fill_(4.0)
        pair.visible_bias.fill_(0.1)
        pair.hidden_bias.zero_()
        every = torch.tensor(states(8))
        share = log_weight(Program(pair, every), {}, every)[1].softmax(0)[-1]
    program, coupled = Program(pair, torch.zeros(1000, 8)), Coupled(pair)
    at, chains = torch.linspace(0, 1, places + 1)[1:], torch.zeros(places, 1000, 8)
    move = traced(lambda chains: tempered(coupled.at, program, chains, at), chains, missing=False)
    for _ in range(300):
        chains = move(chains)
    found = chains[-1].all(-1).double().mean()
    assert 0.5 < share < 0.7
    assert abs(found - share) < 4 * (0.25 / 1000) ** 0.5 if moves else found < 0.01


def test_a_run_that_was_cut_off_goes_on_with_its_chains():
    pair = machine(5, 4)
    make = partial(ContrastiveDivergence, particles=10, temperatures=2)
    objective = make(Program(pair, BITS), pair.guide)
    starts = {name: value.detach()[None] for name, value in objective.named_parameters()}

    def batch(seed: int) -> Batch:
        torch.manual_seed(seed)
        return Batch(objective, starts, BITS, Recipe(30, 10, compile=False))

    whole, rest = batch(0), batch(1)
    whole.advance(10)
    cut_off = whole.export()
    whole.advance(20)
    expected, _ = whole.export()
    rest.adopt(*cut_off)
    rest.advance(20)
    found, _ = rest.export()
    assert {name: torch.equal(value, found[name]) for name, value in expected.items()} == dict.fromkeys(expected, True)
    assert not torch.equal(cut_off[0]["carried.chains"], expected["carried.chains"])


REFUSED = {
    "an ELBO": (lambda: inference.svi(machine(5, 4), BITS, objective="elbo"), TypeError, "objective='contrastive'"),
    "restarts": (lambda: inference.svi(machine(5, 4), BITS, restarts=2), ValueError, "restarts: the loss of objective='contrastive'"),
    "rows held out": (lambda: inference.svi(machine(5, 4), BITS, validation=0.2), ValueError, "validation: the loss of"),
    "sweeps of none": (lambda: inference.svi(machine(5, 4), BITS, sweeps=0), ValueError, "sweeps=0"),
    "sweeps of an ELBO": (lambda: inference.svi(zoo.create("gmm", BITS), BITS, sweeps=2), ValueError, "sweeps=2 is an option of"),
    "a directed pair": (lambda: inference.svi(zoo.create("gmm", BITS), BITS, objective="contrastive"), ValueError, "Pair.undirected"),
    "shades": (lambda: inference.svi(machine(5, 4), BITS / 2), ValueError, "x > 0.5"),
    "one row": (lambda: inference.svi(machine(5, 4), BITS[:1]), ValueError, "in common"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_it_cannot_do_is_refused_with_the_way_out(what):
    call, error, says = REFUSED[what]
    with pytest.raises(error, match=says):
        call()
