"""Everything runs on a GPU where there is one, with the results of the CPU."""

import importlib

import pytest
import torch

import inference
import zoo


def _case(name: str) -> tuple[inference.Pair, torch.Tensor]:
    """A pair and rows that its oracle lists."""
    case = importlib.import_module(f"tests.oracles.{name}").cases()[0]
    return zoo.create(name, **case.hyperparameters), torch.as_tensor(case.x)


@pytest.mark.gpu
@pytest.mark.parametrize("name", zoo.names())
def test_runs_on_cuda(name):
    pair, x = _case(name)
    fits = [inference.svi(pair, x, steps=200, draws=500, device="cuda")]
    if fits[0].draws:  # else what rows share is a point, and there is nothing for MCMC to draw
        fits.append(inference.mcmc(pair, x, warmup=100, draws=200, device="cuda"))
    for posterior in fits:
        assert posterior.device.type == "cuda"
        assert torch.isfinite(posterior.score(x)).all()
        assert inference.diagnose(posterior).table["mean"].notna().all()


@pytest.mark.gpu
@pytest.mark.parametrize("name", zoo.names())
def test_log_likelihood_agrees_with_the_cpu(name):
    pair, x = _case(name)
    posterior = inference.svi(pair, x, steps=100, draws=20, device="cuda")
    on_gpu = _known(posterior, x).cpu()
    draws = {n: d.cpu() for n, d in posterior.draws.items()}
    on_cpu = inference.Posterior(posterior.pair.cpu(), draws, {}, posterior.how, posterior.table)
    torch.testing.assert_close(on_gpu, _known(on_cpu, x))


def _known(posterior: inference.Posterior, x: torch.Tensor) -> torch.Tensor:
    """What follows from the posterior without a random number: the density of rows, or where that is estimated, their codes."""
    return posterior.log_likelihood(x) if posterior.draws else posterior.encode(x).mean
