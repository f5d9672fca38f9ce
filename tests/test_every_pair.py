"""The contract of every pair that the zoo names, in every shape that its oracle lists; and what its oracle knows."""

import functools
import importlib
import re
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.func import grad_and_value, vmap

import inference
import zoo
from inference import contract
from inference.answers import predictive
from inference.graphs import graph
from inference.graphs.functorch import traceable
from inference.graphs.graph import batched, traced
from inference.missing import known_missing
from inference.objectives import run_guide
from inference.program import Program
from tests.oracles import Case


class Subject(NamedTuple):
    """A pair's name, and one of its oracle's cases."""

    name: str
    case: Case

    @property
    def oracle(self):
        return importlib.import_module(f"tests.oracles.{self.name}")

    @property
    def pair(self) -> inference.Pair:
        return zoo.create(self.name, **self.case.hyperparameters)

    @property
    def x(self) -> Tensor:
        return torch.as_tensor(self.case.x)

    @property
    def examined(self) -> contract.Subject:
        """The pair with the case's rows, whose fits are made once."""
        return _examined(str(self))

    def __str__(self) -> str:
        return f"{self.name}-{self.case.id}"


def _subjects() -> list[Subject]:
    return [Subject(name, case) for name in zoo.names() for case in importlib.import_module(f"tests.oracles.{name}").cases()]


@functools.cache
def _examined(label: str) -> contract.Subject:
    subject = next(s for s in _subjects() if str(s) == label)
    return contract.Subject(subject.pair, subject.x)


# Those of one subject share its fits: one worker takes them all.
@pytest.fixture(scope="module", params=[pytest.param(s, marks=pytest.mark.xdist_group(str(s))) for s in _subjects()], ids=str)
def subject(request) -> Subject:
    return request.param


def _elbo(posterior: inference.Posterior) -> Tensor:
    """log p(draw, rows) - log q(draw) at many draws of the guide."""
    if "lp" in posterior.stats:
        return posterior.stats["lp"] - posterior.stats["log_q"]
    program = Program(posterior.pair, posterior.table.x)

    def one(_: Tensor) -> Tensor:
        values, log_q = run_guide(program, posterior.pair.guide, program.x)
        return program.log_joint(values, program.x) - log_q

    return batched(one, program.missing)(torch.zeros(200))


@pytest.mark.parametrize("check", contract.QUICK, ids=lambda check: check.__name__)
def test_the_contract_is_kept(subject, check):
    assert list(check(subject.examined)) == []


@pytest.mark.parametrize("name", zoo.names())
def test_a_pair_has_cases_with_and_without_holes(name):
    holes = [bool(np.isnan(case.x).any()) for case in importlib.import_module(f"tests.oracles.{name}").cases()]
    assert True in holes
    assert False in holes


def test_the_rows_are_observed_as_x(subject):
    assert subject.examined.program.observed == ["x"]


def test_log_joint_is_the_oracles(subject):
    examined = subject.examined
    for position in 0.5 * torch.randn(5, examined.flat.size):
        values = examined.flat.constrain(position) | examined.drawn
        truth = subject.oracle.log_joint(examined.pair, {n: v.numpy() for n, v in values.items()}, subject.case.x)
        assert examined.program.log_joint(values, examined.x).item() == pytest.approx(truth, rel=1e-10)


# Inductor takes a minute for some, and what it makes is compared with torch wherever it is used: here it is asked for both programs of
# one pair, and for the step of one pair of each kind of objective, of sequences and of operators with a gradient of their own.
INDUCTORS = {"gmm": (0, 1), "vae": (1,), "bigan": (1,), "rbm": (1,), "dmm": (1,), "ctm": (1,)}


@pytest.mark.parametrize("name", zoo.names())
def test_compiled_programs_are_the_traced_and_the_interpreted_ones(name, caplog, monkeypatch):
    # What Inductor makes of a program is looked at, not how well the C++ compiler polishes it, which takes most of the time.
    monkeypatch.setenv("TORCHINDUCTOR_DEBUG_COMPILE", "1")
    subject = next(s for s in _subjects() if s.name == name and s.x.isnan().any()).examined
    program, positions = subject.program, subject.positions
    objective = subject.objective
    values = {n: p.detach().clone() for n, p in objective.named_parameters()}
    runs = (
        (vmap(grad_and_value(subject.density)), (positions,)),
        (grad_and_value(objective.step, has_aux=True), (values, subject.x, objective.begin(subject.x))),
    )
    inductors = INDUCTORS.get(name, ())
    for number, (function, given) in enumerate(runs):
        ways = [function, *(traced(function, *given, missing=program.missing, compile=c) for c in (False, True))]  # the last is C
        if number in inductors:
            with monkeypatch.context() as patched:
                patched.setattr(graph, "suits_c", lambda _: False)
                ways.append(traced(function, *given, missing=program.missing, compile=True))
        found = []
        for way in ways:
            torch.manual_seed(0)
            with traceable(), known_missing(program.missing):
                found.append(way(*given))
        for other in found[1:]:
            torch.testing.assert_close(other, found[0], rtol=1e-9, atol=1e-9)
    assert [r.message for r in caplog.records if r.name == "inference" and r.levelname != "INFO"] == []


def test_elbo_is_below_the_evidence(subject):
    posterior = subject.examined.posterior("svi")
    evidence = subject.oracle.log_evidence(posterior.pair, subject.case.x)
    elbo = _elbo(posterior)
    error = elbo.std().item() / elbo.numel() ** 0.5
    assert elbo.isfinite().all()
    if evidence is not None:
        assert evidence - 6 < elbo.mean().item() < evidence + 4 * error + 1e-9


def test_a_posterior_is_criticised(subject):
    posterior = subject.examined.posterior("svi")
    looked_at = {f.name for f in inference.diagnose(posterior).findings if "not looked at" not in f.evidence}
    if "generate" not in subject.pair.unsuited:
        assert np.isfinite(posterior.check(draws=100).table).all(axis=None)
        assert "predictive checks" in looked_at
    if subject.examined.point:
        of_codes = {"active latents", "k-hat by row" if "log_likelihood" not in subject.pair.unsuited else "codes"}
        assert "encode" in subject.pair.unsuited or of_codes <= looked_at
        return
    if "lp" in posterior.stats:  # where the latents of rows are summed out exactly
        total = sum(predictive.log_prior(posterior).values()) + posterior.log_likelihood(subject.x).sum(-1)
        np.testing.assert_allclose(total, posterior.stats["lp"], rtol=1e-8)
    assert posterior.loo().elpd_i.shape == (len(subject.x),)
    assert list(posterior.sensitivity().index) == list(inference.diagnose(posterior).table.index)
    assert "left out" in looked_at


WHAT_RESTS_ON = {
    "mcmc": lambda posterior, x: [lambda: inference.mcmc(posterior.pair, x, device="cpu")],
    "log_likelihood": lambda posterior, x: [
        lambda: posterior.log_likelihood(x),
        lambda: posterior.score(x),
        lambda: posterior.loo(),
        lambda: posterior.to_arviz(log_likelihood=True),
    ],
    "generate": lambda posterior, x: [
        lambda: posterior.generate(3),
        lambda: posterior.check(),
        lambda: posterior.to_arviz(groups="posterior_predictive"),
    ],
    "encode": lambda posterior, x: [
        lambda: posterior.encode(x),
        lambda: posterior.reconstruct(x),
        lambda: posterior.interpolate(x[:1], x[1:2]),
    ],
    "impute": lambda posterior, x: [
        lambda: posterior.impute(x),
        lambda: posterior.generate(given=x),
    ],
}


def test_what_does_not_suit_a_pair_is_refused_with_the_reason(subject):
    posterior = subject.examined.posterior("svi")
    for use, reason in subject.pair.unsuited.items():
        assert f"Not suited to {use}: {reason}" in zoo.card(subject.name)
        for call in WHAT_RESTS_ON[use](posterior, subject.x):
            with pytest.raises(TypeError, match=re.escape(f"{use} does not suit it: {reason}")):
                call()
    assert posterior.to_arviz().attrs["pair"] == type(subject.pair).__name__
