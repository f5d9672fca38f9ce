"""A run that is cut off goes on from its checkpoint to the very draws that it would have made."""

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

import inference
import inference.saving.checkpoint
from inference.mcmc import KERNELS, run


class Straight(inference.Pair):
    """y ~ Normal(slope t + offset, scale)."""

    def __init__(self) -> None:
        pass

    def model(self, x: Tensor, size: int | None = None) -> None:
        slope, offset = pyro.sample("slope", dist.Normal(0.0, 3.0)), pyro.sample("offset", dist.Normal(0.0, 3.0))
        scale = pyro.sample("scale", dist.LogNormal(0.0, 1.0))
        with self.rows(x, size):
            pyro.sample("y", dist.Normal(slope * x[:, 0] + offset, scale), obs=x[:, 1])

    def guide(self, x: Tensor, size: int | None = None) -> None:
        for name in ("slope", "offset"):
            pyro.sample(name, dist.Normal(0.0, 1.0))
        pyro.sample("scale", dist.LogNormal(0.0, 1.0))


X = torch.stack([torch.linspace(-1, 1, 12), torch.linspace(-1, 1, 12) ** 3 + 1], 1)


@pytest.fixture(autouse=True)
def saves_at_every_chance(monkeypatch):
    monkeypatch.setattr(inference.saving.checkpoint.Checkpoint, "due", property(lambda self: True))
    monkeypatch.setattr(run, "BLOCK", 3)


def _sampled(kernel: str, folder: Path | None, **changes: int) -> inference.Posterior:
    settings = {"chains": 3, "warmup": 70, "draws": 30, "thin": 2, "seed": 5, **changes}
    return inference.mcmc(Straight(), X, kernel=kernel, device="cpu", checkpoint=folder, **settings)


def _killed(function: Callable[[], None], folder: Path, after: float) -> None:
    """Run it in a process of its own, which is killed `after` seconds from its first save, or ends before."""
    child = multiprocessing.get_context("fork").Process(target=function)
    child.start()
    while child.is_alive() and not (folder / "checkpoint.json").exists():
        time.sleep(0.01)
    child.join(after)
    if child.is_alive():
        os.kill(child.pid, signal.SIGKILL)
    child.join()


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_sampler_that_was_killed_again_and_again_draws_the_same(kernel, tmp_path):
    whole, folder, chance = _sampled(kernel, None), tmp_path / "run", random.Random(kernel)
    for _ in range(3):
        _killed(lambda: _sampled(kernel, folder), folder, chance.uniform(0.3, 2.5))
    again = _sampled(kernel, folder)
    assert {n: torch.equal(d, again.draws[n]) for n, d in whole.draws.items()} == dict.fromkeys(whole.draws, True)
    assert {n: torch.equal(s, again.stats[n]) for n, s in whole.stats.items()} == dict.fromkeys(whole.stats, True)
    assert whole.stats["lp"].shape == (3, 30)


def _fitted(folder: Path | None) -> inference.Posterior:
    settings = {"steps": 600, "batch": 5, "restarts": 2, "schedule": "constant", "draws": 20, "seed": 5, "compile": False}
    return inference.svi(Straight(), X, guide="AutoNormal", device="cpu", checkpoint=folder, **settings)


def test_a_guide_that_has_nothing_to_learn_is_refused():
    with pytest.raises(ValueError, match="Straight: neither its guide nor its model has a parameter to learn.*AutoNormal"):
        inference.svi(Straight(), X, device="cpu")


def test_a_fit_that_was_killed_again_and_again_ends_the_same(tmp_path):
    whole, folder, chance = _fitted(None), tmp_path / "run", random.Random(0)
    for _ in range(3):
        _killed(lambda: _fitted(folder), folder, chance.uniform(0.1, 1.0))
    again = _fitted(folder)
    assert torch.equal(whole.stats["loss"], again.stats["loss"])
    assert {n: torch.equal(d, again.draws[n]) for n, d in whole.draws.items()} == dict.fromkeys(whole.draws, True)


@pytest.mark.parametrize("done", [10, 75])
def test_ctrl_c_keeps_what_there_is_and_the_run_goes_on(done, tmp_path, monkeypatch):
    whole, tell, rung = _sampled("nuts", None), run._through, []

    def interrupted(sampler, kept, settings, tell):
        def stop(at: int, note: str) -> None:
            if at >= done and not rung:
                rung.append(at)
                signal.raise_signal(signal.SIGINT)

        return told(sampler, kept, settings, stop)

    told = tell
    monkeypatch.setattr(run, "_through", interrupted)
    if done < 70:
        with pytest.raises(KeyboardInterrupt):
            _sampled("nuts", tmp_path / "run")
    else:
        part = _sampled("nuts", tmp_path / "run")
        assert part.how["stopped"] == "interrupted after 3 of 30 draws"
        assert torch.equal(part.draws["slope"], whole.draws["slope"][:, :3])
    monkeypatch.setattr(run, "_through", told)
    assert torch.equal(_sampled("nuts", tmp_path / "run").draws["slope"], whole.draws["slope"])


def test_a_checkpoint_of_another_run_is_refused_by_the_setting_that_differs(tmp_path):
    _sampled("hmc", tmp_path / "run", warmup=2, draws=2)
    with pytest.raises(ValueError, match="seed is 5 there and 6 here"):
        _sampled("hmc", tmp_path / "run", warmup=2, draws=2, seed=6)


def test_draws_that_will_not_fit_are_refused_before_any_work():
    with pytest.raises(MemoryError, match=r"keep every n-th draw \(thin=n\)"):
        _sampled("nuts", None, draws=10**12)
