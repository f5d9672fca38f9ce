"""What is calibrated: many fits in one batch, each to data of its own, and what is refused before any."""

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

import zoo
from inference import calibrate
from inference.diagnostics.calibration import calibration
from inference.diagnostics.calibration.thinning import thinned
from inference.fitting.restarts import fit_batch
from inference.mcmc.run import KERNELS, draw_each
from inference.objectives import NegativeELBO
from inference.program import Program
from inference.recipe import Recipe
from tests.calibrated import QUICK, Conjugate, Fitted, data_sets
from tests.targets import CorrelatedGaussian

# The batch


def test_fits_to_data_of_their_own_end_where_each_ends_alone():
    rows, pair = data_sets(), Fitted()
    objective = NegativeELBO(Program(pair, rows[0]), pair.guide, particles=2)
    starts = {name: p.detach().expand(len(rows), *p.shape) for name, p in objective.named_parameters()}
    fits = fit_batch(objective, starts, rows, Recipe(compile=False))
    exact = torch.stack([pair.posterior(x)[0] for x in rows])
    assert torch.allclose(fits.parameters["pair.q_loc_unconstrained"], exact, atol=2e-3)
    assert torch.allclose(fits.parameters["pair.q_scale_unconstrained"].exp(), torch.tensor(pair.posterior(rows[0])[1]), atol=2e-3)


def test_rows_of_their_own_are_not_drawn_in_minibatches():
    rows, pair = data_sets(), Fitted()
    objective = NegativeELBO(Program(pair, rows[0]), pair.guide)
    starts = {name: p.detach().expand(len(rows), *p.shape) for name, p in objective.named_parameters()}
    with pytest.raises(ValueError, match="batch=2"):
        fit_batch(objective, starts, rows, Recipe(batch=2))


@pytest.mark.parametrize("kernel", list(KERNELS))
def test_chains_with_data_of_their_own_draw_from_their_own_posteriors(kernel):
    rows, pair = data_sets(count=4), Conjugate()
    settings = {"kernel": kernel, "warmup": 100, "draws": 200, "thin": 1}
    values, stats = draw_each(Program(pair, rows[0]), rows, settings, 0, False, lambda done, note: None)
    draws = values["loc"].numpy()
    for chain, x in zip(draws, rows, strict=True):
        mean, sd = pair.posterior(x)
        _, effective = thinned(chain[None, :, None])
        assert effective.least > 30
        assert abs(chain.mean() - float(mean)) < 4 * sd / np.sqrt(effective.least)
        assert 0.75 < chain.std() / sd < 1.3
    assert stats["step_size"].shape == (len(rows), 200)


# The door


class Improper(Conjugate):
    """A flat prior, from which nothing can be drawn."""

    def __init__(self) -> None:
        super().__init__()

    def model(self, x: Tensor, size: int | None = None) -> None:
        loc = pyro.sample("loc", dist.ImproperUniform(dist.constraints.real, (), ()))
        with self.rows(x, size):
            pyro.sample("x", dist.Normal(loc, 1.0), obs=x[:, 0])


class Positive(Conjugate):
    """A pair that reads positive rows only, and makes others."""

    def __init__(self) -> None:
        super().__init__()

    def check(self, table, fitting):
        if (table.x < 0).any():
            raise ValueError("a row is negative")


@pytest.mark.parametrize(
    ("pair", "arguments", "message"),
    [
        (Conjugate(), {"simulations": 19}, "simulations=19 must be a whole number of at least 20"),
        (Conjugate(), {"draws": 5}, "draws=5 must be"),
        (Conjugate(), {"rows": 0}, "rows=0 must be"),
        (Conjugate(), {"method": "nut"}, "nuts"),
        (Conjugate(), {"method": "map"}, "a point has no uncertainty"),
        (Conjugate(), {"guide": "map"}, "a point has no uncertainty"),
        (Conjugate(), {"steps": 0}, "steps=0"),
        (Improper(), {}, "cannot simulate rows"),
        (Positive(), {}, r"in simulation \d+: a row is negative"),
        (Conjugate(), {"simulator": zoo.create("gmm", dim=1)}, "the simulator draws the latents"),
    ],
)
def test_what_cannot_be_calibrated_is_refused(pair, arguments, message):
    with pytest.raises(ValueError, match=message):
        calibrate(pair, **arguments, **QUICK)


def test_rows_that_the_model_only_makes_a_part_of_are_refused():
    with pytest.raises(TypeError, match="not the whole of rows"):
        calibrate(CorrelatedGaussian(2), rows=torch.randn(8, 3), **QUICK)


def test_what_is_no_pair_is_refused():
    with pytest.raises(TypeError, match="must be a pair"):
        calibrate(3)


def test_simulated_rows_have_the_shape_and_the_holes_of_those_given():
    pair, like = zoo.create("gmm", components=1, dim=2), torch.randn(12, 2)
    like[3, 1] = torch.nan
    made = calibration.simulate(pair, like, 30)
    assert made.rows.shape == (30, 12, 2) and (made.rows.isnan() == like.isnan()).all()
    assert calibrate(pair, rows=like, simulations=20, steps=1, particles=1, **QUICK).table.notna()["p_ranks"].all()


def test_the_same_seed_gives_the_same_ranks_and_leaves_the_random_numbers_alone():
    state = torch.get_rng_state()
    first, second = (calibrate(Conjugate(), simulations=30, **QUICK).ranks["loc"] for _ in range(2))
    other = calibrate(Conjugate(), simulations=30, seed=1, **QUICK).ranks["loc"]
    assert (first == second).all() and not (first == other).all()
    assert torch.equal(state, torch.get_rng_state())
