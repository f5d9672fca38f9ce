"""The variational autoencoder's convolutions, flows and VampPrior: against what is done by hand, and on real digits."""

import functools

import pytest
import torch
from torch import Tensor
from torch.autograd.functional import jacobian

import inference
import zoo
from tests.oracles import networks
from tests.oracles import vae as oracle
from zoo.codes.images import Decoder, Encoder
from zoo.codes.laws import Bent

IMAGE = (4, 8, 3)


def test_convolutions_are_those_by_hand_and_one_undoes_the_sizes_of_the_other():
    encoder, decoder = Encoder(IMAGE, [2, 1], [5, 4], 6), Decoder(6, [4, 5], IMAGE, 2)
    seen = torch.randn(7, 3 * 96)
    blocks = seen.split([192, 96], -1)
    # By hand blocks are of one number each: what lies two to a channel is laid apart.
    apart = torch.cat([*blocks[0].reshape(7, 96, 2).unbind(-1), blocks[1]], -1)
    order = [c * 2 + part for part in range(2) for c in range(3)] + [6, 7, 8]
    with torch.no_grad():
        codes = encoder(seen)
        moved = Encoder(IMAGE, [1, 1, 1], [5, 4], 6)
        moved.load_state_dict(encoder.state_dict())
        moved.layers[0].weight.copy_(encoder.layers[0].weight[:, order])
        rows = decoder(codes)
        several = decoder(torch.stack([codes, codes + 1]))
    torch.testing.assert_close(codes, torch.as_tensor(networks.shrunk(moved, apart.numpy(), list(IMAGE))))
    torch.testing.assert_close(rows, torch.as_tensor(networks.enlarged(decoder, codes.numpy(), list(IMAGE))))
    torch.testing.assert_close(several[0], rows)
    assert rows.shape == (7, 2 * 96)


IMAGES = {
    "no square": ({"dim": 24}, ["24 columns", "no square image", "image=[height, width]"]),
    "another size": ({"dim": 24, "image": [5, 5]}, ["image=[5, 5]", "25 numbers", "24 columns"]),
    "odd": ({"dim": 35, "image": [5, 7]}, ["height of 5", "halved", "network='dense'"]),
    "halved once": ({"dim": 36, "hidden": [4, 4]}, ["height of 6", "2 hidden layers", "at most 1"]),
    "dense": ({"dim": 36, "image": [6, 6], "network": "dense"}, ["image=[6, 6]", "network='convolution'"]),
    "one side": ({"dim": 36, "image": [36]}, ["image=[36]", "at least 2 items"]),
}


@pytest.mark.parametrize("case", IMAGES)
def test_images_that_convolutions_cannot_take_are_refused(case):
    given, parts = IMAGES[case]
    with pytest.raises(ValueError) as caught:
        zoo.create("vae", **{"network": "convolution", "hidden": [4], **given})
    assert [part for part in parts if part not in str(caught.value)] == []


@functools.cache
def digits(**given) -> tuple[inference.Posterior, Tensor]:
    """A short fit to the first 1200 digits, and those it was not given."""
    torch.manual_seed(0)
    x = zoo.data.load("digits").x
    pair = zoo.create("vae", x, latents=8, **given)
    return inference.svi(pair, x[:1200], batch=100, steps=300, device="cpu", compile=False), x[1200:]


def test_convolutions_learn_digits():
    x = zoo.data.load("digits").x
    pair = zoo.create("vae", x, latents=8, hidden=[16, 8], network="convolution")
    posterior = inference.svi(pair, x[:1200], batch=100, steps=120, restarts=2, device="cpu", compile=False)
    mean = x[:1200].mean(0).clamp(1e-3, 1 - 1e-3)
    by_columns = (x[1200:] * mean.log() + (1 - x[1200:]) * (1 - mean).log()).sum(1).mean()
    assert posterior.score(x[1200:]).mean() > by_columns + 1
    assert len(set(posterior.how["restarts"])) == 2


def test_a_flow_has_the_density_of_its_jacobian_both_ways():
    law, output = Bent(3), torch.randn(5, 9)
    with torch.no_grad():
        found = law(output)
        plain = found.base_dist.sample()

    def drawn(numbers: Tensor, row: int) -> Tensor:
        for transform in law(output[row : row + 1]).transforms:
            numbers = transform(numbers)
        return numbers

    for row, numbers in enumerate(plain):
        code = drawn(numbers[None], row)[0].detach()
        stretched = torch.linalg.slogdet(jacobian(lambda u, row=row: drawn(u[None], row)[0], numbers)).logabsdet
        expected = found.base_dist.log_prob(plain)[row] - stretched
        torch.testing.assert_close(law(output[row : row + 1]).log_prob(code[None])[0].detach(), expected)
        back = code[None]
        for transform in reversed(law(output[row : row + 1]).transforms):
            back = transform.inv(back)
        torch.testing.assert_close(back[0].detach(), numbers)


def test_a_vampprior_is_the_mixture_of_what_the_guide_makes_of_its_inputs():
    pair = zoo.create("vae", latents=3, dim=4, hidden=[4], prior="vampprior", components=3, covariance="flow")
    x = torch.rand(6, 4)
    pair.start(x)
    with torch.no_grad():
        prior = pair.prior.codes(x, pair.law_of_codes)
        z = prior.sample()
        torch.testing.assert_close(prior.log_prob(z), torch.as_tensor(oracle.log_prior(pair, z.numpy())))


@pytest.mark.parametrize("given", [{"prior": "flow", "covariance": "flow"}, {"prior": "vampprior", "components": 3}])
def test_rows_are_scored_and_annealed_as_by_a_grid_of_codes(given):
    torch.manual_seed(1)
    many = torch.randn(30, 3)
    many[::4, 0] = torch.nan
    pair = zoo.create("vae", many, latents=2, hidden=[], likelihood="gaussian", noise=2.0, **given)
    posterior = inference.svi(pair, many, steps=150, device="cpu", compile=False)
    x, pair = many[:4], posterior.pair
    line = torch.linspace(-8, 8, 161)
    codes = torch.cartesian_prod(line, line)
    with torch.no_grad():
        prior = pair.prior.codes(codes[:, :1], pair.law_of_codes).log_prob(codes)
        rows = pair.likelihood.rows(pair.decoder(codes))
        truth = torch.stack([(prior + rows.log_prob(row)).logsumexp(0) for row in x]) + 2 * (line[1] - line[0]).log()
    torch.testing.assert_close(posterior.score(x, samples=20_000), truth, rtol=0, atol=0.05)
    found = posterior.annealed(x, chains=20, places=30)
    assert ((found.score - truth) / found.error).abs().max() < 4
    assert found.error.max() < 0.3


def test_a_vampprior_tells_unseen_digits_better():
    (usual, unseen), (learnt, _) = digits(), digits(prior="vampprior")
    assert learnt.score(unseen).mean() > usual.score(unseen).mean() + 0.15  # nats an image


def test_a_flow_needs_two_latents():
    with pytest.raises(ValueError, match="latents=1: a flow bends"):
        zoo.create("vae", latents=1, covariance="flow")
