"""The contract of every pair that the zoo names, in every shape that its oracle lists."""

import functools
import importlib
import re
from typing import NamedTuple

import numpy as np
import pytest
import torch
from pyro import poutine
from torch import Tensor
from torch.func import grad_and_value, vmap

import inference
import zoo
from inference import predictive
from inference.functorch import traceable
from inference.graph import batched, traced
from inference.missing import known_missing
from inference.objectives import NegativeELBO, check_guide, run_guide
from inference.program import Program
from inference.unconstrained import Flat
from tests.oracles import Case
from zoo import cards, registry


class Subject(NamedTuple):
    """A pair's name, its oracle, and one of the oracle's cases."""

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

    def __str__(self) -> str:
        return f"{self.name}-{self.case.id}"


def _subjects() -> list[Subject]:
    return [Subject(name, case) for name in zoo.names() for case in importlib.import_module(f"tests.oracles.{name}").cases()]


@pytest.fixture(scope="module", params=_subjects(), ids=str)
def subject(request) -> Subject:
    return request.param


def _fit(method: str, subject: Subject, pair: inference.Pair) -> inference.Posterior:
    if method == "svi":
        return inference.svi(pair, subject.x, steps=150, draws=200, seed=3, device="cpu")
    return inference.mcmc(pair, subject.x, chains=2, warmup=20, draws=10, seed=3, device="cpu")


def _point(subject: Subject) -> bool:
    """Whether rows share no latent, so that what they share is a point and MCMC has nothing to draw."""
    program = Program(subject.pair, subject.x.to(torch.get_default_dtype()))
    return bool(program.amortised) and not program.parameters


def _suits(subject: Subject, use: str) -> bool:
    return use not in subject.pair.unsuited


def _fits() -> list[tuple[Subject, str]]:
    return [(s, method) for s in _subjects() for method in ("svi", "nuts") if method == "svi" or _suits(s, "mcmc")]


@pytest.fixture(params=_fits(), ids=lambda fit: f"{fit[0]}-{fit[1]}")
def fit(request) -> tuple[Subject, str]:
    """A subject and a method that suits it."""
    return request.param


@functools.cache
def _fitted(method: str, label: str) -> inference.Posterior:
    subject = next(s for s in _subjects() if str(s) == label)
    return _fit(method, subject, subject.pair)


def _encoded(posterior: inference.Posterior, x: Tensor) -> tuple[Tensor, ...]:
    """What is known of each row's latent: probabilities that add up to one, or a mean and an sd, zero where the guide is a point."""
    law = posterior.encode(x)
    if isinstance(law, tuple):
        assert (law.sd > 0).all() or (law.sd == 0).all() and "log_likelihood" in posterior.pair.unsuited
        return law
    torch.testing.assert_close(law.sum(-1), torch.ones(law.shape[:-1]))
    return (law,)


def _positions(program: Program, count: int) -> tuple[Flat, Tensor]:
    """Places in the unconstrained space of all continuous latents."""
    flat = Flat({name: site for name, site in program.sites.items() if not site.discrete})
    return flat, 0.5 * torch.randn(count, flat.size)


def _parameters_of_the_model(program: Program) -> set[str]:
    """The parameters of the pair that the density of its model depends on."""
    flat, (position,) = _positions(program, 1)
    density = program.log_joint(flat.constrain(position), program.x)
    if not density.requires_grad:
        return set()
    names, parameters = zip(*program.pair.named_parameters(), strict=True)
    return {n for n, grad in zip(names, torch.autograd.grad(density, parameters, allow_unused=True), strict=True) if grad is not None}


def _elbo(posterior: inference.Posterior) -> Tensor:
    """log p(draw, rows) - log q(draw) at many draws of the guide."""
    if "lp" in posterior.stats:
        return posterior.stats["lp"] - posterior.stats["log_q"]
    program = Program(posterior.pair, posterior.table.x)

    def one(_: Tensor) -> Tensor:
        values, log_q = run_guide(program, posterior.pair.guide, program.x)
        return program.log_joint(values, program.x) - log_q

    return batched(one, program.missing)(torch.zeros(200))


@pytest.mark.parametrize("name", zoo.names())
def test_a_pair_is_documented_and_has_cases_with_and_without_holes(name):
    meanings = {n: meaning for n, _, meaning in cards.hyperparameters(registry.find(name))}
    assert meanings and all(meanings.values()), [n for n, meaning in meanings.items() if not meaning]
    holes = [bool(np.isnan(case.x).any()) for case in importlib.import_module(f"tests.oracles.{name}").cases()]
    assert True in holes
    assert False in holes


def test_model_and_guide_agree_on_sites_and_shapes(subject):
    pair, x = subject.pair, subject.x
    program = Program(pair, x)
    check_guide(program, pair.guide, x)
    guide = {n for n, site in poutine.trace(pair.guide).get_trace(x).nodes.items() if site["type"] == "sample"}
    assert {n for n, site in program.sites.items() if not site.discrete} <= guide
    assert program.observed == ["x"]
    # Parameters that are not the guide's are learnt as points: they are the model's, and all of them.
    others = {n for n, _ in pair.named_parameters() if not any(part.startswith("q_") for part in n.split("."))}
    assert others == _parameters_of_the_model(program)


def test_log_joint_is_the_oracles(subject):
    pair, x = subject.pair, subject.x
    program = Program(pair, x)
    flat, positions = _positions(program, 5)
    for position in positions:
        values = flat.constrain(position)
        truth = subject.oracle.log_joint(pair, {n: v.numpy() for n, v in values.items()}, subject.case.x)
        assert program.log_joint(values, x).item() == pytest.approx(truth, rel=1e-10)


def test_traced_density_and_gradient_are_those_of_the_interpreted_one(subject):
    pair, x = subject.pair, subject.x
    program = Program(pair, x)
    flat, positions = _positions(program, 3)

    def density(position: Tensor) -> Tensor:
        values, log_jacobian = flat.constrain_with_jacobian(position)
        return program.log_joint(values, x) + log_jacobian

    grads, logs = traced(vmap(grad_and_value(density)), positions, missing=program.missing)(positions)
    torch.testing.assert_close(logs, torch.stack([density(p) for p in positions]), rtol=1e-9, atol=1e-9)
    step = 1e-5 * torch.eye(flat.size)
    for position, grad in zip(positions, grads, strict=True):
        slopes = torch.stack([density(position + s) - density(position - s) for s in step]) / 2e-5
        torch.testing.assert_close(grad, slopes, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", zoo.names())
def test_compiled_programs_are_the_traced_and_the_interpreted_ones(name, caplog):
    subject = next(s for s in _subjects() if s.name == name and s.x.isnan().any())
    pair, x = subject.pair, subject.x
    program = Program(pair, x)
    flat, positions = _positions(program, 3)
    objective = NegativeELBO(program, pair.guide)
    values = {n: p.detach().clone() for n, p in objective.named_parameters()}

    def density(position: Tensor) -> Tensor:
        constrained, log_jacobian = flat.constrain_with_jacobian(position)
        return program.log_joint(constrained, x) + log_jacobian

    for function, given in ((vmap(grad_and_value(density)), (positions,)), (grad_and_value(objective.loss), (values, x))):
        found = []
        for run in (function, *(traced(function, *given, missing=program.missing, compile=c) for c in (False, True))):
            torch.manual_seed(0)
            with traceable(), known_missing(program.missing):
                found.append(run(*given))
        for other in found[1:]:
            torch.testing.assert_close(other, found[0], rtol=1e-9, atol=1e-9)
    assert [r.message for r in caplog.records if r.name == "inference"] == []


def test_every_parameter_of_the_guide_is_moved_by_the_elbo(subject):
    pair, x = subject.pair, subject.x
    objective = NegativeELBO(Program(pair, x), pair.guide)
    with traceable():
        grads, loss = grad_and_value(objective.loss)({n: p.detach() for n, p in objective.named_parameters()}, x)
    assert loss.isfinite()
    assert grads
    assert {n: bool(g.isfinite().all() and g.abs().max() > 0) for n, g in grads.items()} == dict.fromkeys(grads, True)


def test_minibatches_are_unbiased(subject):
    pair, x = subject.pair, subject.x
    program = Program(pair, x)
    flat, (position,) = _positions(program, 1)
    values = flat.constrain(position)

    def of(rows: Tensor) -> dict[str, Tensor]:
        return {name: value[rows] if program.sites[name].local else value for name, value in values.items()}

    parts = [Program(pair, x[rows], size=len(x)).log_joint(of(rows), x[rows]) for rows in torch.arange(len(x)).split(2)]
    torch.testing.assert_close(torch.stack(parts).mean(), program.log_joint(values, x), rtol=1e-12, atol=0)


def test_declared_symmetries_change_nothing(subject):
    pair, x = subject.pair, subject.x
    program = Program(pair, x)
    flat, (position,) = _positions(program, 1)
    values = flat.constrain(position)
    before = program.log_joint(values, x)
    draws = {n: v.expand(1, 20, *v.shape) for n, v in values.items()}
    for symmetry in pair.symmetries:
        moved = symmetry.apply(draws, symmetry.random(draws))
        assert set(symmetry.axes) & set(values)
        assert symmetry.size(draws) == 1 or any(not torch.equal(moved[n], draws[n]) for n in draws)
        for i in range(20):
            torch.testing.assert_close(program.log_joint({n: v[0, i] for n, v in moved.items()}, x), before, rtol=1e-10, atol=1e-10)


def test_elbo_is_below_the_evidence(subject):
    posterior = _fitted("svi", str(subject))
    evidence = subject.oracle.log_evidence(posterior.pair, subject.case.x)
    elbo = _elbo(posterior)
    error = elbo.std().item() / elbo.numel() ** 0.5
    assert elbo.isfinite().all()
    if evidence is not None:
        assert evidence - 6 < elbo.mean().item() < evidence + 4 * error


def test_a_posterior_answers_in_the_right_shapes(fit):
    subject, method = fit
    posterior, x = _fitted(method, str(subject)), subject.x
    chains, draws = posterior.shape
    assert (chains, draws) == ((1, 1) if _point(subject) else (1, 200) if method == "svi" else (2, 10))
    sites = {**Program(subject.pair, x).parameters, **Program(subject.pair, x).derived}
    assert {n: d.shape[2:] for n, d in posterior.draws.items()} == {n: s.shape for n, s in sites.items()}
    assert all(d.isfinite().all() for d in posterior.draws.values())
    if _suits(subject, "log_likelihood"):
        assert posterior.log_likelihood(x).shape == (chains, draws, len(x))
        assert posterior.score(x).shape == (len(x),)
    if _suits(subject, "generate"):
        assert posterior.generate(5).shape == (5, *x.shape[1:])
        assert posterior.generate(5).isfinite().all()
    for law in _encoded(posterior, x):
        assert len(law) == len(x)
        assert law.isfinite().all()


def test_holes_are_accepted_everywhere(fit):
    subject, method = fit
    posterior, x = _fitted(method, str(subject)), subject.x.clone()
    x[0], x[1, -1] = torch.nan, torch.nan
    if _suits(subject, "log_likelihood"):
        likelihood = posterior.log_likelihood(x)
        torch.testing.assert_close(likelihood[..., 0], torch.zeros(posterior.shape), rtol=0, atol=1e-12)
        assert likelihood.isfinite().all()
        torch.testing.assert_close(posterior.score(x), likelihood.flatten(0, 1).logsumexp(0) - np.log(likelihood[..., 0].numel()))
    assert all(law.isfinite().all() for law in _encoded(posterior, x))
    mean, sd = posterior.impute(x)
    seen = ~x.isnan()
    assert torch.equal(mean[seen], x[seen])
    assert not sd[seen].any()
    # Without a prior the draws of a hole may all be the same: of a category, say, that the code is sure of.
    assert (sd[~seen] > 0).all() or not _suits(subject, "log_likelihood")


def test_a_posterior_is_criticised(subject):
    posterior = _fitted("svi", str(subject))
    looked_at = {f.name for f in inference.diagnose(posterior).findings if "not looked at" not in f.evidence}
    if _suits(subject, "generate"):
        assert np.isfinite(posterior.check(draws=100).table).all(axis=None)
        assert "predictive checks" in looked_at
    if _point(subject):
        assert {"active latents", "k-hat by row" if _suits(subject, "log_likelihood") else "codes"} <= looked_at
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
        lambda: posterior.to_arviz(log_likelihood=True),
    ],
    "generate": lambda posterior, x: [
        lambda: posterior.generate(3),
        lambda: posterior.check(),
        lambda: posterior.to_arviz(groups="posterior_predictive"),
    ],
}


def test_what_does_not_suit_a_pair_is_refused_with_the_reason(subject):
    posterior = _fitted("svi", str(subject))
    for use, reason in subject.pair.unsuited.items():
        assert f"Not suited to {use}: {reason}" in zoo.card(subject.name)
        for call in WHAT_RESTS_ON[use](posterior, subject.x):
            with pytest.raises(TypeError, match=re.escape(f"{use} does not suit it: {reason}")):
                call()
    assert posterior.to_arviz().attrs["pair"] == type(subject.pair).__name__


def test_saved_and_loaded_is_the_same(fit, tmp_path):
    subject, method = fit
    posterior = _fitted(method, str(subject))
    again = inference.load(posterior.save(tmp_path / "saved"))
    assert {n: torch.equal(d, again.draws[n]) for n, d in posterior.draws.items()} == dict.fromkeys(posterior.draws, True)
    if _suits(subject, "log_likelihood"):
        assert torch.equal(posterior.log_likelihood(subject.x), again.log_likelihood(subject.x))
    for law, same in zip(_encoded(posterior, subject.x), _encoded(again, subject.x), strict=True):
        assert torch.equal(law, same)


def test_a_fit_is_repeated_by_its_seed_and_leaves_the_pair_alone(fit):
    subject, method = fit
    pair = subject.pair
    before = {n: v.clone() for n, v in pair.state_dict().items()}
    first, again = _fitted(method, str(subject)), _fit(method, subject, pair)
    assert {n: torch.equal(d, again.draws[n]) for n, d in first.draws.items()} == dict.fromkeys(first.draws, True)
    assert all(torch.equal(v, again.pair.state_dict()[n]) for n, v in first.pair.state_dict().items())
    after = pair.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(v, after[n]) for n, v in before.items())
