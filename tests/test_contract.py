"""Each typical mistake of somebody who writes a pair is named, on its line."""

import inspect

import pytest
import torch

from inference import Pair, contract
from tests import mistakes

# mistake: the check that finds it, and what it says.
NAMED = {
    "ForgotRows": ("rows in a plate", "has no plate 'data'", "with self.rows(x, size):"),
    "RowLatentOutside": ("any number of rows", "'z' has shape (10, 1) for 10 rows and (5, 1) for 5", "outside the plate"),
    "GuideLacksASite": ("guide draws the latents", "guide has no site 'scale', which the model draws"),
    "GuideHasOneMore": ("guide draws the latents", "draws 'rate'", "does not exist there"),
    "ShapesDiffer": ("guide draws the latents", "'locs' has shape () in the guide and (2,) in the model"),
    "WrongSupport": ("guide stays in the support", "at 'scale', which the model takes from", "GreaterThan(lower_bound=0.0)"),
    "NarrowSupport": ("guide stays in the support", "Uniform, never draws values like", "'scale'"),
    "TableByRow": ("any number of rows", "guide runs on 10 rows and not on 5", "q_loc (10, 1)", "use an encoder"),
    "TableByPlace": ("rows stand alone", "the guide draws a row's latent otherwise in another place", "q_loc (10, 1)"),
    "AveragesOverRows": ("rows stand alone", "the model gives a row another density in another place, or beside other rows"),
    "BranchesOnALatent": ("batched over draws", "branches on the value of a latent", "torch.where"),
    "NoSymmetry": ("declared symmetries change nothing", "Permutation({'locs': 0}) is no symmetry"),
    "OwnScale": ("minibatches are unbiased", "nothing else must: leave out `pyro.poutine.scale`"),
    "ForgotSize": ("minibatches are unbiased", "the model's log density of minibatches", "hand the size on"),
    "GuideForgotSize": ("minibatches are unbiased", "the guide's log density of minibatches", "hand the size on"),
    "PlainTensor": ("no plain tensors", "`q_scale` is a plain tensor, which never moves", "PyroParam"),
    "Detached": ("every parameter of the guide moves", "`q_scale` never moves", "detach"),
    "MadeWhileItRuns": ("parameters belong to the pair", "pyro.param('scale_loc')", "__init__"),
    "NotNamedAsTheGuides": ("other parameters are the models", "`offset` has no part in the model's density", "q_"),
    "BranchesOnNoRows": ("one path", "branch for `x` is None", "unconditions"),
    "NamesADevice": ("named devices", "names a device, 'cpu'", "x.new_zeros"),
    "NamesADtype": ("one dtype", "'locs' is torch.float64 in the model, and the rows are torch.float32"),
    "LosesItsGradient": ("traced is interpreted", "gradient of the model's density in 'scale'", "detached"),
}


def examined(name: str, **how) -> contract.Examined:
    cls = getattr(mistakes, name)
    x = torch.randn(10, 3 if issubclass(cls, mistakes.Coded) else 1)
    return contract.examine(cls(), x, **{"quick": True, **how})


def marked(cls: type[Pair]) -> list[int]:
    lines, first = inspect.getsourcelines(cls)
    return [first + i for i, line in enumerate(lines) if line.rstrip().endswith("# wrong")]


@pytest.mark.parametrize("name", NAMED)
def test_a_mistake_is_named_on_its_line(name):
    found = examined(name)
    check, *parts = NAMED[name]
    assert not found.ok
    fault = next((f for f in found.faults if f.check == check), None)
    assert fault is not None, found
    missing = [part for part in parts if part not in fault.says]
    assert not missing, f"{fault.says!r} does not say {missing}"
    failures = {f.check for f in found.faults if f.severity == "failure"}
    assert failures == {check}, found
    lines = marked(getattr(mistakes, name))
    assert fault.where is not None
    assert fault.where.file == mistakes.__file__
    assert not lines or fault.where.line == lines[0], f"line {fault.where.line}, not {lines}"


@pytest.mark.parametrize("check", contract.STAGES["recovery"], ids=lambda check: check.__name__)
def test_a_guide_that_misses_what_the_model_made(check):
    found = contract.run(check, contract.Subject(mistakes.MissesTheTruth(), torch.randn(10, 1)))
    assert "failure" in {fault.severity for fault in found}
    assert {fault.where.line for fault in found} == set(marked(mistakes.MissesTheTruth))


def test_a_sound_pair_passes_whole():
    found = examined("Sound", quick=False)
    assert found.ok, found
    assert found.skipped == []
    assert len(found.passed) == sum(map(len, contract.STAGES.values()))


def test_a_sound_pair_with_codes_passes():
    found = examined("Coded")
    assert found.ok, found
    assert len(found.passed) == len(contract.QUICK)
