"""Whether a short fit gives a posterior that answers, is saved, and is repeated by its seed."""

import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..covariates import new_like, split
from ..posterior import Posterior
from ..saving.storage import load
from .fault import Fault
from .subject import Subject


def a_posterior_answers(subject: Subject) -> Iterator[Fault]:
    """Draws have the model's shapes and are finite; rows are scored, made and encoded."""
    program = subject.program
    wanted = {name: tuple(site.shape) for name, site in {**program.parameters, **program.derived}.items()}
    for method in subject.methods:
        posterior = subject.posterior(method)
        found = {name: tuple(draws.shape[2:]) for name, draws in posterior.draws.items()}
        if found != wanted:
            yield Fault(f"{method} draws {found}, and the model has {wanted}")
        for name, draws in posterior.draws.items():
            if not bool(draws.isfinite().all()):
                yield Fault(f"{method} draws values of {name!r} that are not finite", subject.lines("guide").get(name))
        for name, answer, shape in _answers(subject, posterior):
            if tuple(answer.shape) != shape or not bool(answer.isfinite().all()):
                yield Fault(f"posterior.{name} after {method} is {_told(answer)}; it should be finite, of shape {shape}")
        yield from _encoded(subject, posterior, method)


def _answers(subject: Subject, posterior: Posterior) -> Iterator[tuple[str, Tensor, tuple[int, ...]]]:
    """What suits the pair to be asked, the answer, and the shape that it should have."""
    x = subject.x
    if subject.suits("log_likelihood"):
        yield "log_likelihood", posterior.log_likelihood(x), (*posterior.shape, len(x))
        yield "score", posterior.score(x), (len(x),)
    if subject.suits("generate"):
        yield "generate", new_like(posterior, subject.blank(5)), (5, *x.shape[1:])


def _encoded(subject: Subject, posterior: Posterior, method: str) -> Iterator[Fault]:
    for part in _codes(posterior, subject.x):
        moments = isinstance(part, tuple)
        if moments:  # a row without a density may have a point for a code
            good = bool((part.sd > 0).all()) or (not subject.suits("log_likelihood") and not bool(part.sd.any()))
        else:
            good = torch.allclose(part.sum(-1), torch.ones(()).to(part))
        good = good and all(len(p) == len(subject.x) and bool(p.isfinite().all()) for p in (part if moments else (part,)))
        if not good:
            wanted = "a finite mean and a positive sd" if moments else "probabilities that add up to one"
            yield Fault(f"posterior.encode after {method} should give {wanted} for every row")


def _codes(posterior: Posterior, x: Tensor) -> list[Any]:
    """What `encode` says of each latent; nothing where rows have none."""
    try:
        law = posterior.encode(x)
    except TypeError:
        return []
    return list(law.values()) if isinstance(law, dict) else [law]


def holes_are_integrated_out(subject: Subject) -> Iterator[Fault]:
    """`NaN` is a missing value: a row of nothing has density one, and holes are filled with what they may be."""
    x = subject.x.clone()
    own, _ = split(subject.pair, x)
    own[0], own[1, -1] = torch.nan, torch.nan
    seen = ~x.isnan()
    for method in subject.methods:
        posterior = subject.posterior(method)
        try:
            likelihood = posterior.log_likelihood(x) if subject.suits("log_likelihood") else None
            if not subject.suits("impute"):
                yield from _fitted_with_holes(subject, x)
                continue
            mean, sd = posterior.impute(x)
        except (ValueError, RuntimeError) as error:
            reason = str(error).partition("\nTrace Shapes:")[0]  # to which Pyro adds those of all sites
            yield Fault(f"rows with missing values are not taken, so that nobody can fit or fill them: {reason}", severity="note")
            return
        if likelihood is not None and (float(likelihood[..., 0].abs().max()) > 1e-12 or not bool(likelihood.isfinite().all())):
            says = "the density of a row of nothing but NaN should be 1, and of a row with one NaN that of the rest: "
            yield Fault(
                f"{says}after {method} {likelihood[..., 0].flatten()[0]:.4g} and {likelihood[..., 1].flatten()[0]:.4g} are its logs"
            )
        # The draws of one hole may all be the same: of a category that the rest of its row is sure of. Where rows have no density, of all.
        unsure = bool((sd[~seen] > 0).any()) or likelihood is None
        if not torch.equal(mean[seen], x[seen]) or bool(sd[seen].any()) or not unsure:
            yield Fault(f"posterior.impute after {method} should leave what was seen as it is, and be unsure of the rest")
        if subject.suits("generate"):
            drawn = posterior.generate(given=x)
            if not torch.equal(drawn[seen], x[seen]) or not bool(drawn.isfinite().all()):
                yield Fault(f"posterior.generate(given=...) after {method} should leave what was seen as it is, and fill the rest")


def _fitted_with_holes(subject: Subject, x: Tensor) -> Iterator[Fault]:
    """Rows with holes, of which the first is not all holes, can be fitted where they cannot be filled."""
    from ..svi import svi

    fitted = svi(subject.pair, x[1:], steps=5, device="cpu", progress=False, compile=False)
    if not all(bool(p.isfinite().all()) for p in fitted.pair.parameters()):
        yield Fault("rows with missing values make parameters NaN when they are fitted")


def saved_and_loaded_is_the_same(subject: Subject) -> Iterator[Fault]:
    """A posterior comes back from its folder as it was."""
    for method in subject.methods:
        posterior = subject.posterior(method)
        with tempfile.TemporaryDirectory() as folder:
            try:
                again = load(posterior.save(Path(folder) / "saved"), pair=type(subject.pair))
            except (ValueError, TypeError, RuntimeError) as error:
                yield Fault(f"a posterior by {method} cannot be saved and loaded: {error}", subject.source.raised(error))
                return
        changed = [name for name, draws in posterior.draws.items() if not torch.equal(draws, again.draws[name])]
        # One answer: what it rests on, the others rest on too.
        answers = zip(islice(_answers(subject, posterior), 1), islice(_answers(subject, again), 1), strict=True)
        changed += [name for (name, before, _), (_, after, _) in answers if not torch.equal(before, after)]
        if changed:
            yield Fault(f"{', '.join(changed)} is not what it was once a posterior by {method} is saved and loaded")


def a_fit_is_repeated_by_its_seed(subject: Subject) -> Iterator[Fault]:
    """The same call gives the same posterior, and leaves the pair that was handed in as it was."""
    before = {name: value.clone() for name, value in subject.pair.state_dict().items()}
    for method in subject.methods:
        first, again = subject.posterior(method), subject.fit(method)
        parts = ((first.draws, again.draws), (first.pair.state_dict(), again.pair.state_dict()))
        changed = [name for one, other in parts for name in one if not torch.equal(one[name], other[name])]
        if changed:
            says = f"{changed[0]} differs between two fits by {method} with one seed; "
            yield Fault(f"{says}draw random numbers with torch alone, and keep no state between runs", subject.source.start("start"))
    after = subject.pair.state_dict()
    moved = [name for name in after if name not in before or not torch.equal(after[name], before[name])]
    if moved or after.keys() != before.keys():
        yield Fault(f"a fit has changed the pair that it was given: {', '.join(moved) or 'its parameters'}", subject.source.start("start"))


def _told(answer: Tensor) -> str:
    return f"of shape {tuple(answer.shape)}" + ("" if bool(answer.isfinite().all()) else " and not finite")
