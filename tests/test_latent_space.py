"""Moving in the space of latents: rows of chosen ones, paths between rows, what a latent changes."""

import math

import numpy as np
import pandas as pd
import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.nn import PyroParam
from torch import Tensor
from torch.distributions import constraints

import inference
import zoo
from tests.linear import BIAS, NOISE, WEIGHT, Linear, posterior_of, rows
from zoo.distributions.columns import Columns


class Globe(inference.Pair):
    """Places on a sphere by longitude and latitude, of which the guide knows both."""

    def __init__(self) -> None:
        self.q_scale = PyroParam(torch.tensor(0.01), constraints.positive)

    def model(self, x: Tensor, size: int | None = None) -> None:
        with self.rows(x, size):
            z = pyro.sample("z", dist.Normal(x.new_zeros(len(x), 2), 1.0).to_event(1))
            pyro.sample("x", Columns(dist.Normal(place(z), 0.1)), obs=x)

    def guide(self, x: Tensor, size: int | None = None) -> None:
        loc = torch.stack([torch.atan2(x[:, 1], x[:, 0]), (x[:, 2] / x.norm(dim=1)).asin()], 1)
        with self.rows(x, size):
            pyro.sample("z", dist.Normal(loc, self.q_scale).to_event(1))


def place(z: Tensor) -> Tensor:
    longitude, latitude = z.unbind(-1)
    return torch.stack([longitude.cos() * latitude.cos(), longitude.sin() * latitude.cos(), latitude.sin()], -1)


# From Lisbon to Tokyo, from Quito to Oslo; in radians.
FROM = torch.deg2rad(torch.tensor([[-9.1, 38.7], [-78.5, -0.2]], dtype=torch.float64))
TO = torch.deg2rad(torch.tensor([[139.7, 35.7], [10.7, 59.9]], dtype=torch.float64))


def globe() -> inference.Posterior:
    return posterior_of(Globe(), place(torch.cat([FROM, TO])))


def linear() -> inference.Posterior:
    return posterior_of(Linear(), rows(30))


def test_the_geodesic_of_a_sphere_is_its_great_circle():
    found = globe().interpolate(place(FROM), place(TO), steps=9, path="geodesic")
    angle = (place(FROM) * place(TO)).sum(1).acos()
    torch.testing.assert_close(found.length, angle, rtol=1e-3, atol=0)
    t = torch.linspace(0, 1, 9)[:, None]
    circle = ((1 - t) * angle).sin().mT[..., None] * place(FROM)[:, None] + (t * angle).sin().mT[..., None] * place(TO)[:, None]
    torch.testing.assert_close(found.rows, circle / angle.sin()[:, None, None], rtol=0, atol=0.01)
    # The straight way on the map is longer, over the Pacific's side of neither.
    assert (globe().interpolate(place(FROM), place(TO)).length > 1.03 * angle).all()


@pytest.mark.parametrize("path", ["straight", "geodesic"])
def test_a_linear_decoder_has_straight_geodesics(path):
    posterior, x = linear(), rows(6)
    found = posterior.interpolate(x[:3], x[3:], steps=5, path=path)
    a, b = (posterior.encode(part).mean for part in (x[:3], x[3:]))
    t = torch.linspace(0, 1, 5)[:, None]
    torch.testing.assert_close(found.latents, (1 - t) * a[:, None] + t * b[:, None], rtol=0, atol=1e-6)
    torch.testing.assert_close(found.rows, found.latents @ WEIGHT.mT + BIAS, rtol=0, atol=1e-6)
    torch.testing.assert_close(found.length, ((b - a) @ WEIGHT.mT).norm(dim=1))


def test_a_spherical_path_keeps_the_length_of_latents():
    posterior = linear()
    a, b = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    x = posterior.expected(torch.cat([a, b]))
    # Not the latents chosen, but those that the rows have.
    a, b = posterior.encode(x).mean
    found = posterior.interpolate(x[:1], x[1:], steps=3, path="spherical").latents[0]
    angle = torch.dot(a, b).div(a.norm() * b.norm()).acos()
    torch.testing.assert_close(found[1], (a + b) / (2 * (angle / 2).cos()))
    with pytest.raises(ValueError, match="row 0 of a and of b lie opposite"):
        posterior.interpolate((BIAS + WEIGHT[:, 0])[None], (BIAS - WEIGHT[:, 0])[None], path="spherical")


def test_rows_of_chosen_latents_have_their_law():
    posterior = linear()
    z = torch.tensor([[1.0, -1.0]])
    torch.testing.assert_close(posterior.expected(z)[0], BIAS + WEIGHT @ z[0])
    drawn = posterior.generate(latents=z.expand(20_000, 2))
    torch.testing.assert_close(drawn.mean(0), BIAS + WEIGHT @ z[0], rtol=0, atol=4 * NOISE / 20_000**0.5)
    torch.testing.assert_close(drawn.mT.cov(), NOISE**2 * torch.eye(4), rtol=0, atol=0.02)


@pytest.fixture(scope="module")
def factors() -> inference.Posterior:
    with torch.random.fork_rng():
        x = zoo.data.load("faithful").frame
        return inference.svi(zoo.create("ppca", x, factors=1), x, steps=100, draws=300, device="cpu", compile=False)


@pytest.fixture(scope="module")
def mixture() -> inference.Posterior:
    with torch.random.fork_rng():
        x = zoo.data.load("faithful").x
        return inference.svi(zoo.create("gmm", x, components=2), x, steps=100, draws=100, device="cpu", compile=False)


def test_latents_that_are_integrated_out_can_be_chosen_too(factors):
    z = factors.encode(factors.table)
    again = factors.expected(z)
    assert list(again.columns) == ["eruptions", "waiting"]
    # The mean row at the mean latent: the reconstruction, but for what draws of the two have in common.
    np.testing.assert_allclose(again, factors.reconstruct(factors.table), rtol=0.01)
    drawn = factors.generate(latents=np.zeros((20_000, 1)))
    np.testing.assert_allclose(drawn.mean(), factors.mean("loc"), rtol=0.01)
    noise = np.sqrt((factors.draws["noise"] ** 2).mean().item())
    assert 0.9 * noise < drawn["eruptions"].std() < 1.2 * noise


def test_a_component_of_a_mixture_can_be_chosen(mixture):
    drawn = mixture.generate(latents={"z": [0] * 4000 + [1] * 4000})
    means = torch.stack([drawn[:4000].mean(0), drawn[4000:].mean(0)])
    np.testing.assert_allclose(means, mixture.mean("locs"), rtol=0.03)
    with pytest.raises(ValueError, match="row 1 of the latents .* is 2.0, which it cannot be"):
        mixture.generate(latents=[0, 2])


def test_what_a_latent_changes_is_its_column_of_the_decoder():
    posterior, x = linear(), rows(30)
    found = posterior.traverse(1, row=x[:1], values=[-1.0, 0.5, 2.0])
    names = found.changes.index.astype(int).tolist()
    np.testing.assert_allclose(found.changes["change"], 3 * WEIGHT[names, 1])
    assert found.changes["range"].is_monotonic_decreasing
    torch.testing.assert_close(found.rows[1] - found.rows[0], 1.5 * WEIGHT[:, 1])
    usual = posterior.traverse(0)
    codes = posterior.encode(x).mean
    torch.testing.assert_close(usual.values[[0, -1]], codes[:, 0].quantile(torch.tensor([0.025, 0.975])))
    torch.testing.assert_close(usual.rows.mean(0), BIAS + WEIGHT @ torch.stack([usual.values.mean(), codes[:, 1].mean()]))


REFUSED = {
    "shape": (lambda p: p.expected(torch.zeros(3, 5)), ValueError, r"shape \(rows, 2\), not \(3, 5\)"),
    "nothing": (lambda p: p.expected(torch.zeros(0, 2)), ValueError, r"not \(0, 2\)"),
    "hole": (lambda p: p.expected([[0.0, 0.0], [math.nan, 0.0]]), ValueError, "row 1 of the latents 'z'"),
    "name": (lambda p: p.expected({"y": torch.zeros(3, 2)}), ValueError, "'z', and not y"),
    "both": (lambda p: p.generate(3, latents=torch.zeros(3, 2)), ValueError, "give the number of rows"),
    "neither": (lambda p: p.generate(), ValueError, "give the number of rows"),
    "path": (lambda p: p.interpolate(rows(2), rows(2), path="geodesik"), ValueError, "geodesic"),
    "pairs": (lambda p: p.interpolate(rows(2), rows(3)), ValueError, "a has 2 rows and b has 3"),
    "latent": (lambda p: p.traverse(2), ValueError, "latent=2 is none of the latents 0 to 1"),
    "one value": (lambda p: p.traverse(0, values=[1.0]), ValueError, "two numbers or more"),
    "rows": (lambda p: p.traverse(0, row=rows(2)), ValueError, "one row, not 2"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_refused(case):
    call, error, words = REFUSED[case]
    with pytest.raises(error, match=words):
        call(linear())


def test_frames_come_back_as_frames(factors):
    assert isinstance(factors.generate(latents=[[0.5]]), pd.DataFrame)
    path = factors.interpolate(factors.table.some([0]), factors.table.some([1]), steps=4)
    assert path.rows.shape == (1, 4, 2)
    assert set(factors.traverse(0).changes.index) == {"eruptions", "waiting"}


def test_rows_without_latents_to_move_in_are_refused(mixture):
    x = mixture.table.x
    with pytest.raises(TypeError, match="no single latent of several numbers"):
        mixture.interpolate(x[:1], x[1:2])
    codes = torch.tensor([[0, 1, 1], [1, 0, 1.0], [1, 1, 0]])
    posterior = posterior_of(zoo.create("vae", codes, latents=2, hidden=[3], likelihood="categorical"), codes)
    with pytest.raises(TypeError, match="no mean"):
        posterior.expected(torch.zeros(1, 2))
