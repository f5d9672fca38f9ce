"""Columns that are given and not modelled: whatever makes, fills, judges or keeps rows."""

import numpy as np
import pandas as pd
import pytest
import torch

import inference
import zoo
from inference.diagnostics.calibration.simulate import simulate
from tests.oracles import covariates as by_hand

QUICK = {"device": "cpu", "compile": False, "progress": False}
GAUSSIAN = {"latents": 1, "hidden": [], "likelihood": "gaussian", "covariates": 2}


def _rows(count: int) -> pd.DataFrame:
    """Three columns that a factor and two covariates, which go together, move; the age in years."""
    generator = np.random.default_rng(0)
    age = 50 + 10 * generator.normal(size=count)
    dose = 0.05 * age + generator.normal(size=count)
    factor = generator.normal(size=(count, 1)) @ np.array([[1.0, -1.0, 0.5]])
    moved = np.column_stack([age, dose]) @ np.array([[0.1, 0.0, -0.05], [0.0, 2.0, 1.0]])
    return pd.DataFrame(factor + moved + 0.3 * generator.normal(size=(count, 3)), columns=["a", "b", "c"]).assign(age=age, dose=dose)


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return _rows(200)


@pytest.fixture(scope="module")
def posterior(rows) -> inference.Posterior:
    return inference.svi(zoo.create("vae", rows, **GAUSSIAN), rows, steps=1500, lr=0.03, **QUICK)


def _hollow(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(a=np.nan, b=np.nan, c=np.nan)


def test_the_linear_one_is_principal_components_of_what_a_regression_leaves(rows, posterior):
    x, y = rows[["age", "dose"]].to_numpy(), rows[["a", "b", "c"]].to_numpy()
    slopes = by_hand.regression(x, y)
    residuals = y - y.mean(0) - (x - x.mean(0)) @ slopes.T
    best = by_hand.ppca(residuals, 1)
    found = float(posterior.score(rows, samples=200).sum())
    assert best - 2.0 < found < best + 0.5
    pair = posterior.pair
    weight = pair.decoder[0].weight.detach().numpy()[:, 1:] * np.asarray(pair.likelihood.spread)[:, None] / np.asarray(pair.scales)
    np.testing.assert_allclose(weight, slopes, atol=0.05)


def test_new_rows_have_the_covariates_that_are_told(rows, posterior):
    younger, older = (_hollow(rows).assign(age=age) for age in (40.0, 60.0))
    new = [posterior.generate(given=some, seed=1) for some in (younger, older)]
    assert list(new[0].columns) == list(rows.columns)
    pd.testing.assert_frame_equal(new[0][["age", "dose"]], younger[["age", "dose"]])
    assert (new[1] - new[0])["a"].mean() == pytest.approx(2.0, abs=0.4)
    assert (new[1] - new[0])["b"].mean() == pytest.approx(0.0, abs=0.6)
    means = posterior.expected([[0.0]] * 3, given=rows.head(3))
    np.testing.assert_allclose(means[["age", "dose"]], rows.head(3)[["age", "dose"]])
    moved = posterior.expected([[0.0], [0.0]], given=rows.head(1))
    np.testing.assert_allclose(moved.iloc[0], moved.iloc[1])
    drawn = posterior.generate(latents=[[0.0]] * 3, given=rows.head(3))
    np.testing.assert_allclose(drawn[["age", "dose"]], rows.head(3)[["age", "dose"]])
    assert (posterior.traverse(0, row=rows.head(1)).rows[:, 3:].std(0) == 0).all()


def test_what_would_make_rows_of_nothing_asks_for_covariates(rows, posterior):
    said = "the last 2 columns of its rows are given, and not drawn by the model; "
    refused = {
        "hand in rows that hold these, and NaN elsewhere": lambda: posterior.generate(5),
        "hand in rows that hold these: given=rows": lambda: posterior.expected([[0.0]]),
        "say of which row they are": lambda: posterior.traverse(0),
        "ask for rows of chosen latents": lambda: posterior.interpolate(rows.head(1), rows.tail(1)),
        "ask of rows that there are": lambda: posterior.bracketed(3),
    }
    for way, call in refused.items():
        with pytest.raises(ValueError, match=said + way):
            call()
    with pytest.raises(TypeError, match="its covariates are no part of the message"):
        posterior.compress(rows)
    hmm = zoo.create("hmm", covariates=1)
    with pytest.raises(ValueError, match="the last column of its rows is given, and not drawn by the model; hand in rows"):
        inference.calibrate(hmm, rows=10, simulations=20, device="cpu")
    with pytest.raises(ValueError, match="there are 2 latents, and 3 rows are given"):
        posterior.expected([[0.0]] * 2, given=rows.head(3))


def test_covariates_that_are_missing_are_refused_by_name(rows, posterior):
    holed = rows.copy()
    holed.loc[7, "dose"] = np.nan
    for ask in (lambda: zoo.create("vae", holed, **GAUSSIAN), lambda: posterior.encode(holed), lambda: posterior.impute(holed)):
        with pytest.raises(ValueError, match=r"column 'dose', row 7: missing \(1 such values in all\), and covariates are given"):
            ask()
    assert posterior.impute(rows.assign(a=np.nan)).mean["dose"].equals(rows["dose"])


def test_replicated_rows_have_the_covariates_of_those_fitted(rows, posterior):
    given = torch.as_tensor(rows[["age", "dose"]].to_numpy())
    new = simulate(posterior.pair, torch.as_tensor(rows.to_numpy()), 3).rows
    torch.testing.assert_close(new[..., 3:], given.expand(3, -1, -1))
    assert (new[0, :, :3] != new[1, :, :3]).all()
    checks = posterior.check(draws=100)
    assert "mean[dose]" not in checks.table.index
    assert "correlation[age~dose]" not in checks.table.index
    assert {"mean[c]", "correlation[b~dose]"} <= set(checks.table.index)
    assert not len(checks.unlikely)


def test_a_tree_has_covariates_apart_and_a_folder_brings_them_back(rows, posterior, tmp_path):
    tree = posterior.to_arviz(groups="posterior_predictive", log_likelihood=False)
    assert list(tree["observed_data"]["x"].coords["feature"].values) == ["a", "b", "c"]
    assert list(tree["constant_data"]["x_given"].coords["covariate"].values) == ["age", "dose"]
    assert tree["posterior_predictive"]["x"].shape[2:] == (200, 3)
    np.testing.assert_allclose(tree["constant_data"]["x_given"], rows[["age", "dose"]])
    again = inference.load(posterior.save(tmp_path / "fit"))
    torch.testing.assert_close(again.table.x, posterior.table.x)
    assert again.table.columns == list(rows.columns)
    assert again.pair.covariates == 2
    assert posterior.fidelity(rows=50).rows == 50
    assert inference.diagnose(again).to_html(tmp_path / "report.html").is_file()
