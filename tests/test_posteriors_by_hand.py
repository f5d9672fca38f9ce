"""Draws from elsewhere as a Posterior: each method and each diagnostic answers, or says what is missing."""

import dataclasses
import functools

import numpy as np
import pytest
import torch

import inference
from inference import Posterior, agreement, calibrate, compare, diagnose, mcmc
from inference.record import columns, row_shape

from .conjugate import Location, by_chains, rows
from .posteriors import chains

QUICK = {"compile": False, "progress": False, "device": "cpu"}


@functools.cache
def fit() -> Posterior:
    """Draws around a good fit, as a run would return them."""
    return chains(draws=100)


def by_hand(draws: dict[str, torch.Tensor] | None = None, stats: dict | None = None, how: dict | None = None, **other: object) -> Posterior:
    table = other.get("table", fit().table)
    return Posterior(fit().pair, fit().draws if draws is None else draws, stats or {}, how or {}, table)


MADE = {
    "with rows": lambda: by_hand(),
    "without": lambda: by_hand(table=None),
    "by svi": lambda: by_hand({n: d[:1] for n, d in fit().draws.items()}, how={"method": "svi"}),
    "by map": lambda: by_hand({n: d[:1, :1] for n, d in fit().draws.items()}, how={"method": "map"}),
    "no derived sites": lambda: by_hand({n: fit().draws[n] for n in ("weights", "locs", "precision_trils")}),
    "half a guide's densities": lambda: by_hand(stats={"log_q": torch.zeros(4, 100)}, how={"method": "svi"}),
    "stats of other shapes": lambda: by_hand(stats={n: torch.zeros(3) for n in ("lp", "diverging", "energy")}),
}
ASKED = {
    "name": lambda p, _: p.name,
    "repr": lambda p, _: repr(p),
    "mean": lambda p, _: p.mean("locs"),
    "keep": lambda p, _: p.keep([0]),
    "log_likelihood": lambda p, _: p.log_likelihood(fit().table.x[:5]),
    "score": lambda p, _: p.score(fit().table.x[:5]),
    "generate": lambda p, _: p.generate(3),
    "encode": lambda p, _: p.encode(fit().table.x[:5]),
    "reconstruct": lambda p, _: p.reconstruct(fit().table.x[:5]),
    "impute": lambda p, _: p.impute(fit().table.x[:5].where(fit().table.x[:5] > 3.5, torch.nan)),
    "filter": lambda p, _: p.filter(fit().table.x[:5]),
    "resampled": lambda p, _: p.resampled(),
    "loo": lambda p, _: p.loo(),
    "check": lambda p, _: p.check(draws=100),
    "sensitivity": lambda p, _: p.sensitivity(),
    "to_arviz": lambda p, _: p.to_arviz(),
    "all of to_arviz": lambda p, _: p.to_arviz(groups="all", draws=2),
    "graph": lambda p, _: p.graph(),
    "save": lambda p, folder: inference.load(p.save(folder / "saved"), pair=type(p.pair)).mean("locs"),
    "diagnose": lambda p, _: str(diagnose(p)),
    "page": lambda p, folder: diagnose(p).to_html(folder / "page.html"),
    "against": lambda p, _: diagnose(p, against=fit()),
    "agreement": lambda p, _: agreement(p, fit()),
    "compare": lambda p, _: compare({"a": p, "b": fit()}),
    "calibrate": lambda p, _: calibrate(p, simulations=20, draws=20, warmup=1, steps=1, particles=1, rows=3, **QUICK),
    "mcmc": lambda p, _: mcmc(p.pair, fit().table, start=p, kernel="hmc", chains=1, warmup=2, draws=2, **QUICK),
}
# Asked of the first two kinds only, and of those that could end otherwise.
COSTLY = {"page", "all of to_arviz", "compare", "against", "mcmc"}
MORE = {"stats of other shapes": {"page"}, "by map": {"against", "page"}, "no derived sites": {"against"}}
# What needs what is not there is refused, in words that hold these.
MISSING = {
    "without": {
        **dict.fromkeys(("generate", "graph"), "neither its rows nor their shape are known"),
        **dict.fromkeys(("loo", "check", "sensitivity", "against", "agreement", "compare", "all of to_arviz"), "kept no rows"),
        "calibrate": "has not kept its rows",
    },
    "by map": {
        **dict.fromkeys(("loo", "sensitivity", "compare"), "1 draw, too few"),
        **dict.fromkeys(("agreement", "against"), "too few draws to be held"),
        "calibrate": "a point has no uncertainty",
    },
    **{kind: {"calibrate": "does not know by which method"} for kind in ("with rows", "no derived sites", "stats of other shapes")},
}
ALWAYS = {"filter": "hidden states", "resampled": "are not known"}


@pytest.mark.parametrize("kind", MADE)
def test_each_use_answers_or_says_what_is_missing(kind, tmp_path):
    posterior, refused = MADE[kind](), {}
    left_out = set() if kind.startswith("with") else COSTLY - MORE.get(kind, set())
    for name in set(ASKED) - left_out:
        try:
            ASKED[name](posterior, tmp_path)
        except (ValueError, TypeError) as error:
            refused[name] = str(error)
    expected = {**ALWAYS, **MISSING.get(kind, {})}
    if kind == "no derived sites":
        expected |= dict.fromkeys(("agreement", "against"), "do not have the same parameters")
    expected = {name: said for name, said in expected.items() if name not in left_out}
    assert set(refused) == set(expected), refused
    assert [name for name, said in expected.items() if said not in refused[name]] == [], refused


def test_what_a_record_does_not_say_is_read_off_the_rows():
    posterior = by_hand()
    assert (row_shape(posterior), columns(posterior)) == ([2], ["eruptions", "waiting"])
    assert list(posterior.generate(2).columns) == ["eruptions", "waiting"]
    assert torch.equal(posterior.score(fit().table), fit().score(fit().table))
    assert "components" not in str(posterior.to_arviz()["posterior"].dims)


def test_a_page_without_derived_sites_says_what_is_not_drawn(tmp_path):
    page = diagnose(MADE["no derived sites"]()).to_html(tmp_path / "page.html").read_text(encoding="utf-8")
    assert "no draws of &#39;scales&#39;" in page
    assert "<svg" not in diagnose(by_hand(table=None)).to_html(tmp_path / "page.html").read_text(encoding="utf-8")


def test_arrays_are_taken_as_tensors():
    draws = {name: np.asarray(value) for name, value in fit().draws.items()}
    assert torch.equal(by_hand(draws).score(fit().table), fit().score(fit().table))
    grown = {name: value.requires_grad_() for name, value in by_hand().keep([0, 1]).draws.items()}
    assert len(diagnose(by_hand(grown)).table) == 12


@pytest.mark.parametrize(
    ("draws", "error", "said"),
    [
        ({"locs": "far"}, TypeError, "'locs' must be a tensor or an array of numbers, not str"),
        ({"locs": torch.zeros(3)}, ValueError, r"'locs' must be of shape \(chain, draw, ...\).*not \(3,\)"),
        ({"locs": torch.zeros(4, 0, 2)}, ValueError, r"at least one of each, not \(4, 0, 2\)"),
        ({"locs": torch.zeros(4, 9, 2), "weights": torch.zeros(4, 8)}, ValueError, r"'weights' \(4, 8\) and 'locs' \(4, 9\)"),
    ],
    ids=["text", "one axis", "no draws", "unequal"],
)
def test_draws_of_no_use_are_refused_at_the_door(draws, error, said):
    with pytest.raises(error, match=said):
        by_hand(draws)


def test_rows_that_are_no_table_are_refused_at_the_door():
    with pytest.raises(TypeError, match="as_table.*not Tensor"):
        Posterior(fit().pair, fit().draws, {}, {}, fit().table.x)


@pytest.mark.parametrize(
    ("draws", "said"),
    [
        (lambda: {"other": torch.randn(4, 100, 2)}, "no draws of 'weights'"),
        (lambda: {**fit().draws, "locs": torch.randn(4, 100, 2)}, r"a draw of 'locs' has shape \[2\]"),
        (lambda: {**fit().draws, "locs": torch.randn(4, 100, 3, 2)}, r"a draw of 'locs' has shape \[3, 2\], and in the pair \[2, 2\]"),
    ],
    ids=["other sites", "an axis too few", "another size"],
)
@pytest.mark.parametrize("asked", ["diagnose", "loo", "check", "to_arviz", "score", "encode", "calibrate", "save"])
def test_draws_of_another_pair_are_refused_by_name(draws, said, asked, tmp_path):
    with pytest.raises(ValueError, match=said):
        ASKED[asked](by_hand(draws(), how={"method": "nuts"}), tmp_path)


def test_a_site_without_the_axis_of_a_symmetry_is_named():
    posterior = Posterior(fit().pair, {"locs": torch.randn(4, 100)}, {}, {}, None)
    with pytest.raises(ValueError, match=r"a draw of 'locs' has shape \(\), and no axis 0 that Permutation could act on"):
        diagnose(posterior)


@pytest.mark.parametrize("ask", ["loo", "sensitivity"])
def test_draws_that_are_not_finite_are_not_weighed(ask):
    posterior = by_chains(Location(), rows(), draws=100)
    posterior.draws["loc"][1, 3] = torch.nan
    with pytest.raises(ValueError, match="draws of 'loc' that are not finite"):
        ASKED[ask](posterior, None)


def test_draws_of_several_chains_are_reweighed_together():
    posterior = by_chains(Location(), rows(), draws=100)
    stats = {"lp": torch.zeros(4, 100), "log_q": torch.zeros(4, 100)}
    again = dataclasses.replace(posterior, stats=stats, how={**posterior.how, "method": "svi"}).resampled(200)
    assert again.shape == (1, 200)
    assert np.isin(again.draws["loc"], posterior.draws["loc"]).all()


@pytest.mark.parametrize("change", [lambda weights: 3 * weights, lambda weights: -weights])
def test_draws_outside_their_support_are_refused_by_name(change):
    made = by_hand({**fit().draws, "weights": change(fit().draws["weights"])})
    with pytest.raises(ValueError, match="no draw of 'weights', whose support is Simplex"):
        diagnose(made)


def test_only_a_posterior_is_diagnosed():
    with pytest.raises(TypeError, match="not str"):
        diagnose("a")
    with pytest.raises(TypeError, match="not str"):
        diagnose(fit(), against="a")
