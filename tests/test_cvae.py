"""The conditional variational autoencoder: labels summed by hand, and found on real digits of which few are labelled."""

import functools

import numpy as np
import pytest
import torch
from torch import Tensor

import inference
import zoo
from tests.linear import posterior_of
from tests.oracles import cvae as oracle
from tests.oracles import vae


def rows() -> tuple[Tensor, Tensor, Tensor]:
    """Digits with their labels in a column more; the same, without those of five in six; the labels."""
    data = zoo.data.load("digits")
    y = torch.as_tensor(np.asarray(data.labels)).to(data.x)
    few = torch.full_like(y, torch.nan)
    for k in range(10):
        few[(y == k).nonzero().flatten()[::6]] = k
    return torch.column_stack([data.x, y]), torch.column_stack([data.x, few]), y


@functools.cache
def digits() -> inference.Posterior:
    _, few, _ = rows()
    pair = zoo.create("cvae", few, latents=8, hidden=[64])
    assert (pair.labels, pair.dim) == (10, 64)
    return inference.svi(pair, few, batch=100, steps=500, device="cpu", compile=False)


def test_labels_that_few_rows_have_are_found_for_the_others():
    _, few, y = rows()
    some = torch.arange(0, len(few), 5)
    hidden = few[some, -1].isnan()
    found = digits().encode(few[some])["y"]
    torch.testing.assert_close(found.sum(1), torch.ones(len(some)))
    assert (found.argmax(1) == y[some])[hidden].double().mean() > 0.8
    assert (found.argmax(1) == y[some])[~hidden].all()


def test_rows_of_a_chosen_label_look_like_it():
    whole, _, y = rows()
    new = digits().generate(latents={"y": [0] * 100 + [1] * 100})
    assert (new[:100, -1] == 0).all()
    assert (new[100:, -1] == 1).all()
    zero, one = (whole[y == k, :-1].mean(0) for k in range(2))
    middle, across = 0.5 * (zero + one), one - zero
    assert ((new[:100, :-1] - middle) @ across < 0).double().mean() > 0.9
    assert ((new[100:, :-1] - middle) @ across > 0).double().mean() > 0.9
    with pytest.raises(ValueError, match="'y', 'z', and not w"):
        digits().generate(latents={"w": [0]})
    with pytest.raises(ValueError, match="give all the latents of a row"):
        digits().expected({"y": [0]})


def test_labels_are_summed_as_by_hand_on_a_grid_of_codes():
    torch.manual_seed(2)
    pair = zoo.create("cvae", latents=1, dim=3, labels=3, hidden=[4], likelihood="gaussian", noise=1.0)
    x = torch.randn(5, 4)
    x[:, -1] = torch.tensor([0.0, torch.nan, 2.0, torch.nan, torch.nan])
    x[3, 1] = torch.nan
    line = torch.linspace(-6, 6, 121)
    terms = np.array([[oracle.log_joint(pair, {"z": [[z]]}, row[None]) for z in line.tolist()] for row in x.numpy()])
    truth = torch.as_tensor(np.logaddexp.reduce(terms, 1) + np.log(12 / 120))
    posterior = posterior_of(pair, x)
    torch.testing.assert_close(posterior.score(x, samples=20_000), truth, rtol=0, atol=0.03)
    # And the probabilities of a label, from the densities of rows that have it.
    asked = x[[1, 1, 1]].clone()
    asked[:, -1] = torch.arange(3.0)
    each = [[oracle.log_joint(pair, {"z": [[z]]}, row[None]) for z in line.tolist()] for row in asked.numpy()]
    probabilities = torch.as_tensor(np.logaddexp.reduce(each, 1)).softmax(0)
    torch.testing.assert_close(posterior.encode(x[1:2])["y"][0], probabilities, rtol=0, atol=0.03)


def test_a_label_that_is_missing_is_filled_in():
    _, few, y = rows()
    some = few[100:110]
    found = digits().impute(some)
    assert ((found.mean[:, -1] - y[100:110]).abs() < 0.5).double().mean() >= 0.7
    torch.testing.assert_close(found.mean[:, :-1], some[:, :-1])


def test_the_report_shows_images_and_not_their_labels():
    figure = digits().pair.picture(digits())
    assert [axes.get_ylabel() for axes in figure.axes[::10]] == ["seen", "through its code", "new"]


REFUSED = {
    "no label": ([[0.0, 1.0, 3.0], [1.0, 0.0, 1.0]], {"labels": 3}, ["column '2', row 0: 3 is no label", "0, 1, ..., 2"]),
    "between labels": ([[0.0, 1.0, 0.5], [1.0, 0.0, 1.0]], {}, ["column '2', row 0: 0.5 is no label"]),
    "below": ([[0.0, 1.0, 1.0], [1.0, 0.0, -1.0]], {}, ["column '2', row 1: -1 is no label"]),
    "none known": ([[0.0, 1.0, np.nan], [1.0, 0.0, np.nan]], {}, ["column '2' has no value"]),
    "a pixel": ([[0.0, 7.0, 0.0], [1.0, 0.0, 1.0]], {}, ["column '1', row 0: 7 is not between 0 and 1"]),
    "one label": ([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]], {"labels": 1}, ["labels=1", "greater than or equal to 2"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_it_cannot_read_is_refused(case):
    x, given, parts = REFUSED[case]
    with pytest.raises(ValueError) as caught:
        zoo.create("cvae", np.array(x), **given)
    assert [part for part in parts if part not in str(caught.value)] == []


def test_with_all_labels_the_density_is_of_rows_and_labels():
    case = next(case for case in oracle.cases() if case.id == "known")
    pair, x = zoo.create("cvae", **case.hyperparameters), torch.as_tensor(case.x)
    z = torch.zeros(len(x), 1)
    weights = pair.weights.detach().numpy()[case.x[:, -1].astype(int)]
    told = np.eye(2)[case.x[:, -1].astype(int)]
    columns = vae.log_columns(pair, vae.decode(pair, np.column_stack([z, told])), case.x[:, :-1])
    expected = np.log(weights).sum() + columns.sum() + vae.log_prior(pair, z.numpy()).sum()
    assert oracle.log_joint(pair, {"z": z}, x) == pytest.approx(expected)
