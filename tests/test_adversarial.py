"""The adversarial objective: its loss and gradients by hand, what the best critic would tell, and what it finds where that is known."""

import math

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor, nn
from torch.func import grad_and_value

import inference
import zoo
from inference.adversarial import Adversarial
from inference.fitting.restarts import fit_batch
from inference.graphs.functorch import traceable
from inference.program import Program
from inference.recipe import Recipe
from tests.oracles import bigan as oracle
from tests.oracles import gan as by_hand


def normals(rows: int, seed: int = 0) -> Tensor:
    """Two columns that hang together, of means 1 and -2."""
    noise = torch.randn(rows, 2, generator=torch.Generator().manual_seed(seed))
    return noise @ torch.tensor([[1.0, 0.8], [0.0, 0.6]]) * torch.tensor([2.0, 0.5]) + torch.tensor([1.0, -2.0])


def players(case) -> tuple[Adversarial, dict[str, Tensor], Tensor]:
    """The objective of a bidirectional pair, its parameters, and the rows."""
    torch.manual_seed(1)
    x = torch.as_tensor(case.x)
    pair = zoo.create("bigan", **case.hyperparameters)
    objective = Adversarial(Program(pair, x), pair.guide, penalty=0.7)
    return objective, {name: value.detach().clone() for name, value in objective.named_parameters()}, x


@pytest.mark.parametrize("case", oracle.cases(), ids=lambda case: case.id)
def test_loss_and_gradients_are_those_written_by_hand(case):
    objective, values, x = players(case)
    torch.manual_seed(2)
    with traceable():
        grads, loss = grad_and_value(objective.loss)(values, x)
        torch.manual_seed(2)
        features, latents = objective._shown(x)
    pair, critic = objective.pair, objective.critic
    seen, made = features.detach().numpy()[: len(x)], features.detach().numpy()[len(x) :]
    np.testing.assert_allclose(seen, by_hand.features(pair, case.x), rtol=1e-10)
    np.testing.assert_allclose(latents["z"][: len(x)].detach().numpy(), oracle.codes(pair, case.x), rtol=1e-10)
    assert (made == 0.0)[:, : pair.dim][np.isnan(case.x)].all()
    shown = np.concatenate([features.detach().numpy(), latents["z"].detach().numpy()], 1)
    numbers = by_hand.read(pair, critic.net, shown)[:, 0]
    assert loss.item() == pytest.approx(by_hand.told(*np.split(numbers, 2)), rel=1e-10)
    # Each player's gradient is that of its own loss, which the others do not enter.
    inputs = torch.tensor(shown, requires_grad=True)
    first, second = critic.net(inputs)[:, 0].chunk(2)
    slopes = torch.autograd.grad(first.sum() + second.sum(), inputs, create_graph=True)[0]
    critics = -nn.functional.logsigmoid(first - second).mean() + 0.7 * slopes.square().sum(1).mean()
    for name, found in zip(names(critic), torch.autograd.grad(critics, [*critic.parameters()]), strict=True):
        torch.testing.assert_close(grads[f"critic.{name}"], found)
    first, second = critic(features, latents).chunk(2)
    others = -nn.functional.logsigmoid(second - first).mean()
    for name, found in zip(names(pair), torch.autograd.grad(others, [*pair.parameters()]), strict=True):
        torch.testing.assert_close(grads[f"pair.{name}"], found)


def test_the_penalty_goes_down_to_none_and_the_loss_told_is_without_it():
    objective, values, x = players(oracle.cases()[0])
    objective.cooling = 10
    for done, left in ((0.0, 1.0), (5.0, 0.5), (10.0, 0.0), (12.0, 0.0)):
        torch.manual_seed(2)
        with traceable():
            grads, (told, carried) = grad_and_value(objective.step, has_aux=True)(values, x, {"done": torch.tensor(done)})
            torch.manual_seed(2)
            expected, loss = grad_and_value(objective.loss)(values, x, 0.7 * left)
        torch.testing.assert_close(grads, expected)
        assert told.item() == pytest.approx(loss.item(), rel=1e-12)
        assert carried["done"] == done + 1


def test_the_critic_moves_on_a_time_scale_of_its_own():
    objective, values, x = players(oracle.cases()[0])
    begins, moved = {name: value[None] for name, value in values.items()}, {}
    for haste in (1.0, 3.0):
        objective.haste = haste
        torch.manual_seed(2)
        ends = fit_batch(objective, begins, x, Recipe(steps=1, lr=0.01, optimiser="SGD", schedule="constant", compile=False)).parameters
        moved[haste] = {name: ends[name] - begins[name] for name in begins}
    for name, found in moved[3.0].items():
        assert found.abs().max() > 0
        torch.testing.assert_close(found, (3.0 if name.startswith("critic.") else 1.0) * moved[1.0][name], rtol=1e-6, atol=1e-12)


def names(module: nn.Module) -> list[str]:
    return [name for name, _ in module.named_parameters()]


class Shifted(inference.Pair):
    """Standard normal numbers, of which the data may be shifted; its critic is a line of a given slope."""

    def __init__(self, slope: float = 1.0) -> None:
        self.slope, self.q_loc = slope, nn.Parameter(torch.zeros(1))

    def model(self, x: Tensor, size: int | None = None) -> None:
        with self.rows(x, size):
            z = pyro.sample("z", dist.Normal(x.new_zeros(len(x), 1), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(z, 0.0001).to_event(1), obs=x)

    def guide(self, x: Tensor, size: int | None = None) -> None:
        with self.rows(x, size):
            pyro.sample("z", dist.Normal(self.q_loc.expand(len(x), 1), 1.0).to_event(1))

    def features(self, x: Tensor) -> Tensor:
        return x

    def critic(self) -> nn.Module:
        return Line(self.slope)


class Line(nn.Module):
    def __init__(self, slope: float) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(slope))

    def forward(self, features: Tensor, latents: dict[str, Tensor]) -> Tensor:
        return self.slope * features[:, 0]


@pytest.mark.parametrize("shift", [0.0, 0.5, 2.0])
def test_the_best_critic_tells_the_log_ratio_of_densities_and_no_other_tells_more(shift):
    """Of Normal(shift, 1) beside Normal(0, 1) that is a line of slope `shift`: nothing to tell at 0, log 2 far away."""
    torch.manual_seed(0)
    x = shift + torch.randn(100_000, 1)

    def told(slope: float) -> float:
        objective = Adversarial(Program(Shifted(slope), x), Shifted(slope).guide)
        with torch.no_grad(), traceable():
            return objective.loss(dict(objective.named_parameters()), x).item()

    assert told(shift) == pytest.approx(by_hand.best(shift), abs=0.005)
    assert told(shift) > max(told(shift - 0.7), told(shift + 0.7))
    assert by_hand.best(0.0) == pytest.approx(0.0, abs=1e-12)
    assert by_hand.best(30.0) == pytest.approx(math.log(2), abs=1e-6)


def test_a_linear_generator_recovers_means_and_covariance_and_its_encoder_inverts_it():
    x = normals(2000)
    pair = zoo.create("bigan", x, latents=2, hidden=[], critic_hidden=[32, 32])
    posterior = inference.svi(pair, x, steps=1500, batch=128, penalty=0.1, compile=False)
    new = posterior.generate(20_000)
    spread = x.std(0)
    assert ((new.mean(0) - x.mean(0)) / spread).abs().max() < 0.1
    assert ((new.T.cov() - x.T.cov()) / spread.outer(spread)).abs().max() < 0.12
    codes = posterior.encode(x).mean
    assert (codes.T.cov() - torch.eye(2)).abs().max() < 0.12
    assert ((posterior.reconstruct(x) - x) / spread).square().mean().sqrt() < 0.1
    assert abs(posterior.stats["loss"][-200:].mean()) < 0.02


def test_all_steps_are_taken_and_a_checkpoint_holds_the_critic_too(tmp_path):
    x = normals(64)
    pair = zoo.create("gan", x, hidden=[4], critic_hidden=[4])
    how = {"steps": 60, "haste": 2.0, "compile": False, "checkpoint": tmp_path / "run"}
    whole, again = inference.svi(pair, x, **how), inference.svi(pair, x, **how)
    assert all(torch.equal(a, b) for a, b in zip(whole.pair.parameters(), again.pair.parameters(), strict=True))
    assert whole.how["stopped"] == "took all 60 steps: its loss does not tell when it is done"


REFUSED = {
    "restarts": (lambda x: inference.svi(zoo.create("gan", x), x, restarts=2), "restarts: the loss of objective='adversarial'"),
    "rows held out": (lambda x: inference.svi(zoo.create("gan", x), x, validation=0.2), "validation: the loss of"),
    "a negative penalty": (lambda x: inference.svi(zoo.create("gan", x), x, penalty=-1.0), "penalty=-1.0 must be a number of at least 0"),
    "no cooling": (lambda x: inference.svi(zoo.create("gan", x), x, cooling=0), "cooling=0"),
    "a critic that stands": (lambda x: inference.svi(zoo.create("gan", x), x, haste=0.0), "haste=0.0 must be a number above 0"),
    "an option of another": (lambda x: inference.svi(zoo.create("vae", x / 9), x / 9, penalty=1.0), "penalty=1.0 is an option of"),
    "no critic": (lambda x: inference.svi(zoo.create("gmm", x), x, objective="adversarial"), "bring a critic"),
    "one row": (lambda x: inference.svi(zoo.create("bigan", x), x[:1]), "in common"),
    "rows alike": (lambda x: inference.svi(zoo.create("bigan", x), x[:1].repeat(9, 1)), "all 9 rows are alike"),
    "an empty row": (lambda x: inference.svi(zoo.create("bigan", x), torch.cat([x, x[:1] * torch.nan])), "row 20 has no value at all"),
    "no shade": (lambda x: inference.svi(zoo.create("gan", x, likelihood="shades"), x), "divide by the largest"),
    "a long code": (lambda x: zoo.create("gan", x, latents=3), "latents=3 must be at most the 2 columns"),
    "few rows": (lambda x: inference.svi(zoo.create("gan", x), x, steps=1).fidelity(), "20 rows are too few"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_it_cannot_do_is_refused_with_the_way_out(what):
    call, says = REFUSED[what]
    with pytest.raises(ValueError, match=says):
        call(normals(20).abs() + 1)
