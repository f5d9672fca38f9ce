"""Bad arguments are refused before any work, by a message that names the value and the way out."""

import numpy as np
import pandas as pd
import pytest
import torch

import inference
import zoo
from tests.doors import FRAME, changed, refused

pytestmark = pytest.mark.usefixtures("no_work")


@pytest.mark.parametrize(
    ("given", "error", "parts"),
    [
        ({"components": 0}, ValueError, ["components=0", "greater than 0", "components=2"]),
        ({"components": -3}, ValueError, ["components=-3", "greater than 0"]),
        ({"components": "three"}, ValueError, ["components='three'", "valid integer"]),
        ({"components": 2.5}, ValueError, ["components=2.5", "integer"]),
        ({"components": True}, ValueError, ["components=True", "integer"]),
        ({"components": None}, ValueError, ["components=None", "integer"]),
        ({"concentration": -1}, ValueError, ["concentration=-1", "greater than 0"]),
        ({"concentration": 0.0}, ValueError, ["concentration=0.0", "greater than 0"]),
        ({"concentration": float("nan")}, ValueError, ["concentration=nan", "finite"]),
        ({"shrinkage": float("inf")}, ValueError, ["shrinkage=inf", "finite"]),
        ({"spread": [1.0, -1.0]}, ValueError, ["spread=[1.0, -1.0]", "greater than 0"]),
        ({"center": "middle"}, ValueError, ["center='middle'", "number", "list"]),
        ({"center": [1.0, 2.0, 3.0]}, ValueError, ["center", "3 numbers", "2 columns", "one number"]),
        ({"freedom": 1.0}, ValueError, ["freedom=1.0", "above dim - 1 = 1", "full"]),
        ({"covariance": "round"}, ValueError, ["covariance='round'", "'full', 'diag', 'spherical' or 'tied'"]),
        ({"component": 2}, TypeError, ["'component'", "components, dim, covariance", "shrinkage"]),
    ],
    ids=str,
)
@pytest.mark.parametrize("x", [None, FRAME], ids=["without rows", "with rows"])
def test_bad_hyperparameters(given, error, parts, x):
    refused(error, lambda: zoo.create("gmm", x, **given), *parts)


def test_too_many_hyperparameters():
    from zoo.gmm import GaussianMixture

    refused(TypeError, lambda: GaussianMixture(*range(1, 11)), "GaussianMixture", "at most 9", "components, dim")


def test_a_dim_that_is_not_the_datas_is_named():
    refused(ValueError, lambda: zoo.create("gmm", FRAME, dim=3), "3 columns", "these have 2", "a, b")


def pair() -> inference.Pair:
    return zoo.create("gmm", FRAME)


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        ({"steps": 0}, ["steps=0", "whole number", "at least 1"]),
        ({"steps": 2.5}, ["steps=2.5", "whole number"]),
        ({"steps": "many"}, ["steps='many'", "whole number"]),
        ({"steps": True}, ["steps=True", "whole number"]),
        ({"draws": 0}, ["draws=0", "at least 1"]),
        ({"particles": -1}, ["particles=-1", "at least 1"]),
        ({"restarts": 0}, ["restarts=0", "at least 1"]),
        ({"batch": 0}, ["batch=0", "at least 1"]),
        ({"batch": 6}, ["batch=6", "5 rows", "leave it out"]),
        ({"lr": 0}, ["lr=0", "positive"]),
        ({"lr": -0.1}, ["lr=-0.1", "positive"]),
        ({"lr": float("nan")}, ["lr=nan", "positive"]),
        ({"lr": float("inf")}, ["lr=inf", "positive"]),
        ({"lr": "fast"}, ["lr='fast'", "positive"]),
        ({"guide": "AutoNormall"}, ["'AutoNormall'", "did you mean 'AutoNormal'?", "map", "AutoMultivariateNormal"]),
        ({"guide": "zebra"}, ["'zebra'", "map", "AutoMultivariateNormal"]),
        ({"guide": 3}, ["guide", "3", "AutoNormal"]),
        ({"device": "cuda:99"}, ["device='cuda:99'", "'auto'", "'cpu'"]),
        ({"device": "abacus"}, ["device='abacus'", "'auto', 'cpu' or 'cuda'"]),
        ({"device": "mps"}, ["device='mps'", "'auto'", "'cpu'"]),
        ({"device": "meta"}, ["device='meta'", "'auto'", "'cpu'"]),
    ],
    ids=str,
)
def test_bad_arguments_of_svi(given, parts):
    refused(ValueError, lambda: inference.svi(pair(), FRAME, **given), *parts)


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        ({"chains": 0}, ["chains=0", "at least 1"]),
        ({"draws": 0}, ["draws=0", "at least 1"]),
        ({"warmup": 0}, ["warmup=0", "at least 1"]),
        ({"draws": 1e3}, ["draws=1000.0", "whole number"]),
        ({"target_acceptance": 1.0}, ["target_acceptance=1.0", "between 0 and 1"]),
        ({"kernel": "nutz"}, ["kernel 'nutz'", "did you mean 'nuts'?"]),
        ({"kernel": "zebra"}, ["kernel 'zebra'", "nuts"]),
        ({"kernel": None}, ["kernel", "None", "nuts"]),
        ({"device": "cuda:99"}, ["device='cuda:99'", "'auto'", "'cpu'"]),
        ({"device": "abacus"}, ["device='abacus'", "'auto', 'cpu' or 'cuda'"]),
    ],
    ids=str,
)
def test_bad_arguments_of_mcmc(given, parts):
    refused(ValueError, lambda: inference.mcmc(pair(), FRAME, **given), *parts)


def test_an_argument_that_there_is_not():
    refused(TypeError, lambda: inference.svi(pair(), FRAME, epochs=3), "epochs")
    refused(TypeError, lambda: inference.mcmc(pair(), FRAME, epochs=3), "epochs")


@pytest.mark.parametrize("count", [np.int64(0), torch.tensor(3)], ids=["numpy", "tensor"])
def test_counts_are_whole_numbers(count):
    refused(ValueError, lambda: inference.svi(pair(), FRAME, steps=count), "steps=", "whole number")


def test_a_count_may_be_numpys():
    from inference.run import at_least

    at_least(1, steps=np.int64(3), draws=None)
    refused(ValueError, lambda: at_least(2, steps=np.int64(1)), "steps", "at least 2")


def test_a_number_too_large_for_the_dtype_is_named():
    torch.set_default_dtype(torch.float32)
    refused(ValueError, lambda: zoo.create("gmm", changed("b", "w", 1e300)), "column 'b'", "row 'w'", "1e+300")


def test_what_a_posterior_is_asked_is_checked():
    posterior = drawn()
    refused(ValueError, lambda: posterior.encode(FRAME[["b"]]), "2 columns", "these have 1", "b")
    refused(ValueError, lambda: posterior.score(FRAME.assign(c=1.0)), "2 columns", "these have 3", "a, b, c")
    refused(ValueError, lambda: posterior.encode(np.zeros((2, 2, 2))), "(2, 2, 2)", "flatten")
    refused(ValueError, lambda: posterior.impute(FRAME.iloc[:0]), "empty")
    refused(ValueError, lambda: posterior.log_likelihood(changed("b", "w", np.inf)), "column 'b'", "row 'w'", "infinite")
    refused(ValueError, lambda: posterior.generate(0), "rows=0", "at least 1")
    refused(LookupError, lambda: posterior.mean("loc"), "'loc'", "weights", "locs")


def test_columns_are_matched_by_name():
    posterior, swapped = drawn(), FRAME[["b", "a"]]
    pd.testing.assert_frame_equal(posterior.encode(swapped), posterior.encode(FRAME))


def test_columns_of_other_names_are_refused():
    posterior, other = drawn(), FRAME.rename(columns={"a": "height"})
    refused(ValueError, lambda: posterior.encode(other), "height", "a, b")


def test_columns_that_a_pair_was_not_made_for_are_refused():
    made, swapped = zoo.create("gmm", FRAME, components=1), FRAME[["b", "a"]]
    for fit in (inference.svi, inference.mcmc):
        refused(ValueError, lambda fit=fit: fit(made, swapped), "made for the columns a, b", "these are b, a")
        refused(ValueError, lambda fit=fit: fit(made, FRAME.rename(columns={"a": "height"})), "these are height, b")


def drawn() -> inference.Posterior:
    """A posterior of a few draws that took no fit."""
    made, count = pair(), 3
    scales = torch.ones(1, count, 2, 2)
    draws = {
        "weights": torch.full((1, count, 2), 0.5),
        "precision_trils": torch.eye(2).expand(1, count, 2, 2, 2).clone(),
        "locs": torch.tensor([[2.0, 1.0], [4.0, 5.0]]).expand(1, count, 2, 2).clone(),
        "scales": scales,
        "correlations": torch.zeros(1, count, 2, 1),
    }
    how = {"method": "svi", "stopped": "converged", "restarts": [0.0], "seconds": 0.0}
    return inference.Posterior.of(made, draws, {}, how, inference.as_table(FRAME))


def test_a_start_that_is_of_another_pair():
    other = drawn()
    start = inference.Posterior(other.pair, {"theta": torch.zeros(1, 3)}, {}, other.how, other.table)
    refused(ValueError, lambda: inference.mcmc(pair(), FRAME, start=start), "start", "'weights'", "same pair")
