"""Every test starts alike: the same seed, float64, one thread, and an empty parameter store that it must leave empty."""

import importlib
import os
from collections.abc import Iterator

import pyro
import pytest
import torch

# For fixtures of a whole module too, which come before those of a test: what they draw depends on how sums are rounded.
torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
# Most of what is compiled here runs for a moment: compilers need not take their time (`test_native` lets them).
os.environ["CFLAGS"] = "-O1"


def pytest_configure(config: pytest.Config) -> None:
    """Let go of machine code that is older than a file beside its own: numba does not look at the files of what a function calls."""
    if hasattr(config, "workerinput"):
        return
    for cache in config.rootpath.glob("[iz]*/**/__pycache__"):
        newest = max((path.stat().st_mtime for path in cache.parent.glob("*.py")), default=0.0)
        for path in cache.glob("*.nb[ci]"):
            if path.stat().st_mtime < newest:
                path.unlink()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--device", default="cpu", help="where the tests that take `device` run: cpu or cuda")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not torch.cuda.is_available():
        for item in items:
            if "gpu" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="there is no CUDA device"))


@pytest.fixture
def device(request: pytest.FixtureRequest) -> str:
    return request.config.getoption("--device")


@pytest.fixture(autouse=True)
def alike() -> Iterator[None]:
    dtype = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    pyro.clear_param_store()
    yield
    left = list(pyro.get_param_store().keys())
    pyro.clear_param_store()
    torch.set_default_dtype(dtype)
    assert not left, f"the test left parameters in Pyro's global store: {left}"


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is refused is refused before any work: a fit or a run that starts fails the test."""

    def started(*args: object, **kwargs: object) -> None:
        pytest.fail("work was begun on input that should have been refused")

    monkeypatch.setattr(importlib.import_module("inference.svi"), "_fit", started)
    monkeypatch.setattr(importlib.import_module("inference.mcmc.run"), "_through", started)
