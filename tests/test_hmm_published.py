"""The hidden Markov model on published series: maxima of the likelihood, and posteriors of series in frames."""

import numpy as np
import pytest

import inference
import zoo

FIGURES = {1: 391.9189, 2: 342.3183, 3: 329.4603, 4: 327.8316}


@pytest.mark.parametrize("states", list(FIGURES))
def test_maximum_likelihood_of_the_earthquakes_is_the_published_one(states):
    # Zucchini & MacDonald 2009, table 3.1: stationary Poisson hidden Markov models.
    x = zoo.data.load("earthquakes").x
    pair = zoo.create("hmm", x, states=states, emission="poisson", initial="stationary", shape=1.0, center=1e6)
    posterior = inference.svi(pair, x, guide="map", steps=800, lr=0.1, restarts=2 * states, device="cpu", compile=False)
    assert -posterior.log_likelihood(x).item() == pytest.approx(FIGURES[states], abs=0.01)


def test_maximum_likelihood_with_a_free_start_has_the_published_rates():
    # Zucchini & MacDonald 2009, section 4.2.4.
    x = zoo.data.load("earthquakes").x
    pair = zoo.create("hmm", x, states=3, emission="poisson", shape=1.0, center=1e6)
    posterior = inference.svi(pair, x, guide="map", steps=800, lr=0.1, restarts=4, device="cpu", compile=False)
    assert -posterior.log_likelihood(x).item() == pytest.approx(328.5275, abs=0.01)
    np.testing.assert_allclose(posterior.mean("rates")[:, 0], [13.146, 19.721, 29.714], atol=0.05)


def test_aligning_does_not_blur_the_rates():
    quakes = zoo.data.load("earthquakes").frame
    pair = zoo.create("hmm", quakes, states=3, emission="poisson")
    posterior = inference.svi(pair, quakes, steps=600, draws=400, seed=1)
    raw = posterior.draws["rates"].sort(2).values.std((0, 1))
    assert (posterior.aligned["rates"].std((0, 1)) < 1.2 * raw).all()


def test_a_frame_of_series_comes_back_as_one():
    nile = zoo.data.load("nile").frame
    posterior = inference.svi(zoo.create("hmm", nile), nile, steps=100, draws=20, device="cpu", compile=False)
    states, agreement = posterior.decode(nile)
    assert list(states.columns) == list(nile.columns)
    assert agreement.shape == nile.shape
    # The flow fell in 1899.
    assert states.loc[0, "1899":].mean() < 0.2 < 0.8 < states.loc[0, :"1897"].mean()
    assert posterior.generate(2).shape == (2, 100)
    assert len(inference.diagnose(posterior).table) == 14
    assert posterior.pair.picture(posterior).axes
