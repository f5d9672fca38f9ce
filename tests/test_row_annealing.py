"""The density of rows by annealing: against models whose rows have a known one, and as the judge of a guide."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.nn import PyroParam
from torch import Tensor

import inference
import zoo
from inference import memory
from tests.linear import Linear, exact, posterior_of, rows
from tests.oracles import vae as oracle


def errors_off(found, truth: Tensor) -> Tensor:
    """By how many standard errors a score is off, row by row."""
    return ((found.score - truth) / found.error).abs()


@pytest.mark.parametrize("holes", [False, True])
def test_it_is_exact_within_its_standard_error_whatever_the_guide(holes):
    x = rows(30, holes)
    truth, misled = exact().expand([30]).log_prob(x), posterior_of(Linear(off=0.1), x)
    found = misled.annealed(x, chains=20, places=80)
    assert found.error.mean() < 0.2
    assert 0.6 < errors_off(found, truth).square().mean().sqrt() < 1.5
    assert torch.equal(posterior_of(Linear(), x).annealed(x, chains=20, places=80).score, found.score)
    # A guide ten times too narrow misleads importance sampling: that is what a judge is for.
    assert (truth - misled.score(x)).mean() > 2


def test_chains_there_and_back_hold_the_density_between_them_the_closer_the_more_places():
    exact_guide = posterior_of(Linear(), rows())
    few, many = (exact_guide.bracketed(60, samples=1, chains=8, places=places) for places in (6, 80))
    gaps = [float((found["high"] - found["low"]).mean()) for found in (few, many)]
    assert gaps[0] > 0.3
    assert 0 < gaps[1] < 0.1
    # The guide is exact, and with it every importance weight.
    assert few["low"].mean() < few["importance"].mean() < few["high"].mean()
    assert many["importance"].mean() == pytest.approx(many["low"].mean(), abs=0.1)
    misled = posterior_of(Linear(off=0.1), rows()).bracketed(60, chains=8, places=80)
    assert misled["low"].mean() > misled["importance"].mean() + 1


def test_a_prior_that_is_a_mixture_is_annealed_to():
    case = next(case for case in oracle.cases() if case.id == "linear-mixture")
    pair, x = zoo.create("vae", **case.hyperparameters), torch.as_tensor(case.x)
    truth = torch.tensor([oracle.log_evidence(pair, row[None]) for row in case.x])
    found = posterior_of(pair, x).annealed(x, chains=20, places=100)
    assert errors_off(found, truth).max() < 4
    assert found.error.max() < 0.5


class Waiting(inference.Pair):
    """Waiting times x ~ Exponential(z) of rates z ~ Gamma(shape_k, unit), of two kinds k; the unit is shared by the rows."""

    shapes, shares = (2.0, 6.0), (0.3, 0.7)

    def __init__(self) -> None:
        self.q_scale = PyroParam(torch.tensor(1.0), dist.constraints.positive)

    def model(self, x: Tensor, size: int | None = None) -> None:
        unit = pyro.sample("unit", dist.LogNormal(x.new_zeros(()), 0.5))
        with self.rows(x, size):
            kind = pyro.sample("kind", dist.Categorical(x.new_tensor(self.shares)))
            z = pyro.sample("z", dist.Gamma(x.new_tensor(self.shapes)[kind], unit))
            pyro.sample("x", dist.Exponential(z), obs=x[:, 0])

    def guide(self, x: Tensor, size: int | None = None) -> None:
        pyro.sample("unit", dist.LogNormal(x.new_zeros(()), self.q_scale))
        with self.rows(x, size):
            pyro.sample("z", dist.LogNormal(torch.zeros_like(x[:, 0]), self.q_scale))

    def density(self, x: Tensor, unit: Tensor) -> Tensor:
        """Of rows, kinds and rates summed and integrated out."""
        terms = [share * shape * unit**shape / (unit + x) ** (shape + 1) for share, shape in zip(self.shares, self.shapes, strict=True)]
        return sum(terms)


def test_latents_that_are_positive_or_discrete_and_those_that_rows_share_are_averaged_over():
    x, pair = torch.tensor([[0.05], [0.4], [2.0]]), Waiting()
    units = torch.tensor([0.5, 1.0, 2.0, 4.0])
    posterior = posterior_of(pair, x, {"unit": units.reshape(2, 2)})
    truth = pair.density(x, units).mean(1).log()
    found = posterior.annealed(x, chains=200, places=30)
    assert errors_off(found, truth).max() < 3.5
    assert found.error.max() < 0.1
    held = posterior.bracketed(30, samples=3000, chains=10, places=30).mean()
    assert held["low"] - 0.1 < held["importance"] < held["high"] + 0.1


def test_rows_are_taken_as_many_at_a_time_as_memory_holds(monkeypatch):
    x = torch.cat([rows(5), torch.full((1, 4), torch.nan)])
    posterior, truth = posterior_of(Linear(), rows()), exact().expand([6]).log_prob(x)
    monkeypatch.setattr(memory, "CELLS", 8 * 10 * 4 * 2)
    found = posterior.annealed(x, chains=10, places=40)
    assert errors_off(found, truth)[:5].max() < 4
    assert (found.score[5], found.error[5]) == (0, 0)  # nothing was seen of it


def test_the_seed_fixes_it():
    x, posterior = rows(3), posterior_of(Linear(), rows())
    first, same, other = (posterior.annealed(x, chains=4, places=10, seed=seed).score for seed in (1, 1, 2))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_what_cannot_be_annealed_is_refused():
    x = torch.rand(6, 3)
    with pytest.raises(TypeError, match=r"GaussianMixture: .*exactly.*posterior\.score needs no referee"):
        inference.svi(zoo.create("gmm", x), x, steps=1, draws=2, device="cpu", compile=False).annealed(x)
    with pytest.raises(TypeError, match="no prior"):
        posterior_of(zoo.create("autoencoder", x), x).bracketed()
    with pytest.raises(TypeError, match=r"normaliser.*posterior\.normalised"):
        posterior_of(zoo.create("rbm", x.round()), x.round()).annealed(x.round())
    with pytest.raises(ValueError, match="chains=1"):
        posterior_of(Linear(), rows()).annealed(rows(), chains=1)
    with pytest.raises(ValueError, match="places=1"):
        posterior_of(Linear(), rows()).bracketed(places=1)
