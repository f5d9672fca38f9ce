"""Rows in bytes and back: identical, and as short as the ELBO promises."""

import functools
import math

import numpy as np
import pytest
import torch
from torch import Tensor

import inference
import zoo
from tests.linear import Linear, posterior_of
from tests.linear import rows as linear_rows


@functools.cache
def digits() -> tuple[inference.Posterior, Tensor]:
    """A short fit to the first 1200 digits in black and white, and those it was not given."""
    x = (zoo.data.load("digits").x > 0.5).double()
    pair = zoo.create("vae", x, latents=8, hidden=[64])
    return inference.svi(pair, x[:1200], batch=100, steps=300, device="cpu", compile=False), x[1200:]


def test_digits_come_back_as_they_were_and_take_what_the_elbo_promises():
    posterior, x = digits()
    message = posterior.compress(x)
    assert torch.equal(posterior.decompress(message), x)
    promised = -np.mean([posterior.score(x, samples=1, seed=seed).mean().item() for seed in range(5)]) / math.log(2)
    taken = 8 * len(message) / len(x)
    assert 0.98 * promised < taken < 1.06 * promised, (promised, taken)
    columns = x.mean(0).clamp(1e-9, 1 - 1e-9)
    entropy = -(columns * columns.log2() + (1 - columns) * (1 - columns).log2()).sum()
    assert taken < 0.9 * entropy


def test_the_precision_in_which_a_pair_was_fitted_does_not_matter_and_any_rows_can_be_stored():
    posterior, _ = digits()
    single = posterior_of(zoo.create("vae", **posterior.pair.hyperparameters).float(), torch.zeros(2, 64))
    strange = torch.randint(0, 2, (5, 64), generator=torch.Generator().manual_seed(0)).float()
    assert torch.equal(single.decompress(single.compress(strange)), strange)
    assert torch.equal(posterior.decompress(posterior.compress(strange[:1])), strange[:1].double())


def test_categories_come_back_with_the_names_of_their_columns():
    frame = zoo.data.load("wine").frame
    codes = (frame > frame.median()).astype(float) + (frame > frame.quantile(0.8))
    posterior = posterior_of(zoo.create("vae", codes, latents=2, hidden=[4], likelihood="categorical"), codes)
    again = posterior.decompress(posterior.compress(codes))
    assert list(again.columns) == list(codes.columns)
    np.testing.assert_array_equal(again, codes)


def test_another_posterior_cannot_read_it():
    posterior, x = digits()
    other = posterior_of(zoo.create("vae", **posterior.pair.hyperparameters), x)
    with pytest.raises(ValueError, match="made by another posterior"):
        other.decompress(posterior.compress(x[:20]))
    with pytest.raises(ValueError, match="message of 7 bytes"):
        posterior.decompress(b"1234567")


def test_what_cannot_be_stored_is_refused():
    posterior, x = digits()
    shades = x[:3].clone()
    shades[1, 5] = 0.5
    with pytest.raises(ValueError, match="row 1, column 5 is 0.5; only 0 to 1"):
        posterior.compress(shades)
    shades[1, 5] = torch.nan
    with pytest.raises(ValueError, match="missing values"):
        posterior.compress(shades)
    with pytest.raises(TypeError, match="no codes"):
        posterior_of(Linear(), linear_rows()).compress(linear_rows())
    with pytest.raises(TypeError, match="not Normal and independent"):
        posterior_of(zoo.create("vae", x, hidden=[4], prior="mixture"), x).compress(x)
    with pytest.raises(TypeError, match="several latents"):
        faithful = zoo.data.load("faithful").x
        inference.svi(zoo.create("gmm", faithful), faithful, steps=1, draws=2, device="cpu", compile=False).compress(faithful)
