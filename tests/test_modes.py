"""Chains in different modes are told apart, and each mode is given the weight that it has."""

import dataclasses
import math

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

import inference
from inference import Pair, Permutation, Posterior, Rotation, as_table, diagnose
from inference.diagnostics.modes import Modes, modes, stuck_chains
from inference.diagnostics.table import summarise

from .test_report import finding

SIDES, NOISE, PRIOR = torch.tensor([1.0, -1.0], dtype=torch.double), torch.tensor([1.0, 0.3], dtype=torch.double), 4.0


class TwoSided(Pair):
    """Means of which either themselves, or their opposites, were observed with less noise: two modes of unequal width.

    | symbol | distribution                       | shape  | meaning                     |
    |--------|------------------------------------|--------|-----------------------------|
    | loc    | Normal(0, 4)                       | (dim,) | the means, but for a sign   |
    | z      | Categorical(first, 1 - first)      | (1,)   | which of two; summed out    |
    | x      | Normal(side[z] loc, noise[z])      | (1, dim) | one row                   |

    Arguments:
        dim: how many means.
        first: the probability of the first of two.
    """

    def __init__(self, dim: int = 3, first: float = 0.8) -> None:
        self.dim, self.first = dim, first

    def model(self, x: Tensor, size: int | None = None) -> None:
        loc = pyro.sample("loc", dist.Normal(x.new_zeros(self.dim), PRIOR).to_event(1))
        with self.rows(x, size):
            z = pyro.sample("z", dist.Categorical(x.new_tensor([self.first, 1 - self.first])))
            pyro.sample("x", dist.Normal(SIDES.to(x)[z][..., None] * loc, NOISE.to(x)[z][..., None]).to_event(1), obs=x)

    def guide(self, x: Tensor, size: int | None = None) -> None:
        pyro.sample("loc", dist.Normal(x.new_zeros(self.dim), PRIOR).to_event(1))


class Exchangeable(TwoSided):
    """The same, seen through a row of equal numbers, which cannot tell the means apart."""

    symmetries = (Permutation({"loc": 0}, order="loc"),)


class Positive(Pair):
    """The same for positive numbers, on the scale of their logarithms, so that volumes count in the space that samplers move in.

    Arguments:
        dim: how many numbers.
        first: the probability of the first of two.
    """

    def __init__(self, dim: int = 2, first: float = 0.8) -> None:
        self.dim, self.first = dim, first

    def model(self, x: Tensor, size: int | None = None) -> None:
        loc = pyro.sample("loc", dist.LogNormal(x.new_zeros(self.dim), PRIOR).to_event(1)).log()
        with self.rows(x, size):
            z = pyro.sample("z", dist.Categorical(x.new_tensor([self.first, 1 - self.first])))
            pyro.sample("x", dist.Normal(SIDES.to(x)[z][..., None] * loc, NOISE.to(x)[z][..., None]).to_event(1), obs=x)

    def guide(self, x: Tensor, size: int | None = None) -> None:
        pyro.sample("loc", dist.LogNormal(x.new_zeros(self.dim), PRIOR).to_event(1))


def known(first: float, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Log weight (mode,), mean (mode, dim) and standard deviation (mode,) of the posterior of `loc`, a mixture of two normals."""
    variance = PRIOR**2 + NOISE**2
    log_weights = torch.tensor([first, 1 - first]).log() + dist.Normal(0.0, variance.sqrt()[:, None]).log_prob(x).sum(1)
    spread = (PRIOR**2 * NOISE**2 / variance).sqrt()
    return log_weights.log_softmax(0), (SIDES * PRIOR**2 / variance)[:, None] * x, spread


def settled(pair: Pair, at: float = 5.0, where: tuple[int, ...] = (0, 1, 0, 0), draws: int = 1000) -> Posterior:
    """Independent draws of a posterior whose chains sit in the modes that `where` names."""
    x = torch.full((1, pair.dim), at)
    _, mean, spread = known(pair.first, x)
    mode = torch.tensor(where)
    loc = mean[mode][:, None] + spread[mode][:, None, None] * torch.randn(len(where), draws, pair.dim)
    values = {"loc": loc.exp() if isinstance(pair, Positive) else loc}
    return Posterior.of(pair, values, {}, {"method": "nuts", "settings": {}, "seconds": 1.0}, as_table(x))


def found(posterior: Posterior) -> Modes:
    return modes(posterior, summarise(posterior), [])


@pytest.mark.parametrize(
    ("pair", "at"),
    [
        (TwoSided(1), 5.0),
        (TwoSided(3), 5.0),
        (TwoSided(10), 3.0),
        (Exchangeable(2), 5.0),
        (Exchangeable(3), 2.5),
        (Positive(2), 3.0),
        (TwoSided(3, first=0.2), 5.0),
    ],
    ids=["one", "three", "ten", "two alike", "three alike", "positive", "the narrow one heavier"],
)
def test_modes_have_the_weights_that_are_known(pair, at):
    posterior = settled(pair, at)
    modes, truth = found(posterior), known(pair.first, posterior.table.x)[0]
    heavier = [[0, 2, 3], [1]] if truth[0] > truth[1] else [[1], [0, 2, 3]]
    assert modes.chains == heavier
    assert modes.unknown == ""
    for log_weight, expected in zip(modes.log_weights, truth.sort(descending=True).values.tolist(), strict=True):
        assert max(modes.errors) < 0.05
        assert abs(log_weight - expected) < 4 * math.hypot(*modes.errors)
    assert sum(map(math.exp, modes.log_weights)) == pytest.approx(1.0)


def test_errors_are_honest():
    """Over 20 runs, the estimates of the log odds scatter as their errors say."""
    estimates, errors = [], []
    for _ in range(20):
        modes = found(settled(TwoSided(2), draws=200))
        estimates.append(modes.log_weights[0] - modes.log_weights[1])
        errors.append(math.hypot(*modes.errors))
    truth = known(0.8, torch.full((1, 2), 5.0))[0]
    scaled = (np.array(estimates) - float(truth[0] - truth[1])) / np.array(errors)
    assert 0.5 < scaled.std() < 1.6
    assert abs(scaled.mean()) < 4 / 20**0.5


def test_a_chain_that_goes_astray_in_single_precision_is_weighed_too():
    posterior = settled(TwoSided(3))
    single = dataclasses.replace(posterior, draws={n: d.float() for n, d in posterior.draws.items()})
    assert found(single).log_weights == pytest.approx(found(posterior).log_weights, abs=0.03)


def test_many_chains_in_three_groups():
    posterior = settled(TwoSided(2), where=(0, 1) * 10, draws=200)
    posterior.draws["loc"][19] += 30.0
    modes = found(posterior)
    assert sorted(map(len, modes.chains)) == [1, 9, 10]
    assert modes.chains[2] == [19]
    assert modes.log_weights[2] < -20


def test_chains_that_agree_or_cross_are_one_group():
    assert found(settled(TwoSided(2), where=(0, 0, 0, 0))) is None
    crossing = settled(TwoSided(2), where=(0, 1, 0, 1))
    crossing.draws["loc"][3, ::2] = crossing.draws["loc"][0, ::2]
    assert found(crossing) is None


def test_chains_that_wander_are_not_taken_for_modes():
    walk = torch.randn(4, 500, 1).cumsum(1)
    assert found(dataclasses.replace(settled(TwoSided(1)), draws={"loc": walk})) is None


def test_label_switching_alone_is_no_mode():
    posterior = settled(Exchangeable(2), where=(0, 0, 0, 0))
    loc = posterior.draws["loc"] + torch.tensor([0.0, 20.0])
    loc[1] = loc[1].flip(-1)
    switched = dataclasses.replace(posterior, draws={"loc": loc})
    assert found(switched) is None
    assert found(dataclasses.replace(switched, pair=TwoSided(2))) is not None


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda p: dataclasses.replace(p, table=None), "rows were not kept"),
        (lambda p: dataclasses.replace(p, draws={"loc": p.draws["loc"][:, :12]}), "3 parameters need more draws"),
        (lambda p: dataclasses.replace(p, draws={"loc": p.draws["loc"][..., :1].expand(-1, -1, 3)}), "do not vary in every parameter"),
    ],
    ids=["no rows", "few draws", "one direction"],
)
def test_weights_that_cannot_be_known_say_why(spoil, reason):
    posterior = spoil(settled(TwoSided(3)))
    modes = found(posterior)
    assert reason in modes.unknown
    assert modes.log_weights == modes.errors == []
    assert reason in finding(diagnose(posterior), "modes").advice


def test_rotated_draws_have_no_volume():
    pair = TwoSided(3)
    pair.symmetries = (Rotation({"loc": 0}),)
    posterior = settled(pair)
    posterior.draws["loc"][1] *= 3
    assert "no volume" in found(posterior).unknown


def test_a_finding_says_which_chains_sit_where_and_what_that_weighs():
    report = diagnose(settled(TwoSided(3)))
    assert not report.ok
    said = finding(report, "modes")
    assert said.evidence.startswith("2 modes, apart in loc[")
    assert "chains 0, 2, 3 (weight 0.81) and chain 1 (weight 0.19)." in said.evidence
    assert "posterior.keep" in said.advice
    assert "modes told next" in finding(report, "R-hat").advice


def test_weights_come_with_their_draws_and_their_error():
    posterior = settled(TwoSided(3))
    said, modes = finding(diagnose(posterior), "modes").evidence, found(posterior)
    assert modes.draws == [1500, 500]
    assert f"from 500 draws of each; their logarithms are known to {max(modes.errors):.2g}." in said


@pytest.mark.parametrize("spread", [0.0, 1e-3], ids=["still", "hardly moving"])
def test_a_chain_that_is_stuck_is_no_mode(spread):
    posterior = settled(TwoSided(3), where=(0, 0, 0, 0))
    loc = posterior.draws["loc"]
    loc[2] = 9.0 + spread * (loc[2] - loc[2].mean(0))
    report = diagnose(posterior)
    assert "modes" not in [f.name for f in report.findings]
    said = finding(report, "stuck")
    assert said.severity == "failure"
    assert said.evidence.startswith("chain 2 stands still")
    assert "posterior.keep([0, 1, 3])" in said.advice
    assert diagnose(posterior.keep([0, 1, 3])).ok


def test_a_stuck_chain_is_found_where_r_hat_does_not_see_it():
    posterior = settled(TwoSided(1), where=(0,) * 100, draws=50)
    posterior.draws["loc"][7] = posterior.draws["loc"].mean()
    report = diagnose(posterior)
    assert report.table["rhat"].max() < 1.05
    assert finding(report, "stuck").evidence.startswith("chain 7 ")


def test_modes_beside_a_stuck_chain_are_told_as_modes():
    posterior = settled(TwoSided(3), where=(0, 1, 0, 0, 1))
    posterior.draws["loc"][2] = 0.5
    report = diagnose(posterior)
    assert finding(report, "stuck").evidence.startswith("chain 2 ")
    assert "chains 0, 3 (weight 0.8" in finding(report, "modes").evidence
    assert "2 modes" in finding(report, "modes").evidence


def test_a_narrow_mode_is_not_called_stuck_and_two_stuck_of_four_are():
    assert stuck_chains(settled(TwoSided(3))) == []
    posterior = settled(TwoSided(1), where=(0, 0, 0, 0))
    posterior.draws["loc"][:2] = torch.tensor([1.0, 2.0])[:, None, None]
    assert stuck_chains(posterior) == [0, 1]
    posterior.draws["loc"][2:] = torch.tensor([3.0, 4.0])[:, None, None]
    assert stuck_chains(posterior) == [0, 1, 2, 3]
    assert "every chain" in finding(diagnose(posterior), "stuck").evidence


def test_a_mode_of_no_weight_can_be_dropped():
    posterior = settled(TwoSided(3, first=1 - 1e-9))
    said = finding(diagnose(posterior), "modes")
    assert "chain 1 (weight e^-21)" in said.evidence
    assert "posterior.keep([0, 2, 3])" in said.advice
    kept = posterior.keep([0, 2, 3])
    assert torch.equal(kept.draws["loc"], posterior.draws["loc"][[0, 2, 3]])
    report = diagnose(kept)
    assert report.ok
    assert "modes" not in [f.name for f in report.findings]


def test_chains_that_are_not_there_cannot_be_kept():
    posterior = settled(TwoSided(1), draws=10)
    with pytest.raises(LookupError, match="no chain 4; there are chains 0 to 3"):
        posterior.keep([0, 4])
    with pytest.raises(ValueError, match="at least one"):
        posterior.keep([])


def test_modes_that_a_sampler_settled_in_are_weighed():
    """From draws of both modes HMC stays in each; the chains' shares are chance, and the weights are not."""
    pair, x = TwoSided(2), torch.full((1, 2), 5.0)
    start = settled(pair, where=(0, 1, 0, 1))
    posterior = inference.mcmc(pair, x, kernel="hmc", chains=4, warmup=60, draws=150, start=start, seed=1, compile=False, device="cpu")
    modes, truth = found(posterior), known(0.8, x)[0]
    assert len(modes.chains) == 2
    sides = [posterior.draws["loc"][chains].mean() > 0 for chains in modes.chains]
    assert sides == [True, False]
    for log_weight, expected in zip(modes.log_weights, truth.tolist(), strict=True):
        assert abs(log_weight - expected) < 4 * math.hypot(*modes.errors)
