"""Latents as features: the transformer in scikit-learn's own hands, and what a linear probe makes of the codes of digits."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

import inference
import zoo
from zoo.features import Features

QUICK = {"steps": 30, "draws": 20, "compile": False, "device": "cpu"}
# Each check fits; of those that ask the same of fit and transform, one is taken.
CHECKS = {
    "check_estimator_cloneable",
    "check_no_attributes_set_in_init",
    "check_set_params",
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_get_params_invariance",
    "check_estimator_repr",
    "check_fit2d_1sample",
    "check_fit1d",
    "check_complex_data",
    "check_estimators_empty_data_messages",
    "check_fit_check_is_fitted",
    "check_n_features_in",
    "check_estimators_pickle",
    "check_dict_unchanged",
    "check_n_features_in_after_fitting",
}


def named(check) -> str:
    return getattr(check, "func", check).__name__


GENERATED = [(e, check) for e, check in estimator_checks_generator(Features("ppca", factors=1, settings=QUICK)) if named(check) in CHECKS]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.parametrize(("estimator", "check"), GENERATED, ids=[named(check) for _, check in GENERATED])
def test_scikit_learn_finds_no_fault(estimator, check):
    check(estimator)


def test_every_check_asked_for_is_one():
    assert {named(check) for _, check in GENERATED} == CHECKS


def test_a_linear_probe_tells_digits_by_codes_better_than_by_as_many_principal_components():
    data = zoo.data.load("digits")
    x, labels = data.x.numpy(), data.labels.numpy()
    settings = {"batch": 100, "steps": 700, "compile": False, "device": "cpu"}
    right = {}
    for name, codes in {"vae": Features("vae", latents=4, hidden=[64], settings=settings), "pca": PCA(4)}.items():
        probe = make_pipeline(codes, StandardScaler(), LogisticRegression(max_iter=2000)).fit(x[:1200], labels[:1200])
        right[name] = probe.score(x[1200:], labels[1200:])
    assert right["vae"] > right["pca"] + 0.03


def test_a_mixture_gives_probabilities_with_names():
    frame = zoo.data.load("faithful").frame
    found = Features("gmm", components=3, settings=QUICK).set_output(transform="pandas").fit(frame)
    features = found.transform(frame)
    assert list(features.columns) == ["gmm0", "gmm1", "gmm2"]
    np.testing.assert_allclose(features.sum(axis=1), 1.0)
    np.testing.assert_allclose(features, found.posterior_.encode(frame))
    pd.testing.assert_index_equal(features.index, frame.index)


def test_rows_with_holes_have_features():
    x = zoo.data.load("iris").x.numpy().copy()
    x[::7, 2] = np.nan
    features = Features("fa", factors=1, settings=QUICK).fit_transform(x)
    assert features.shape == (150, 1)
    assert np.isfinite(features).all()


def test_hyperparameters_are_parameters():
    first = Features("vae", latents=3, hidden=[5], settings=QUICK)
    assert clone(first).get_params() == {"pair": "vae", "method": "svi", "settings": QUICK, "latents": 3, "hidden": [5]}
    second = clone(first).set_params(latents=2, likelihood="gaussian")
    assert second.get_params()["latents"] == 2
    assert first.get_params()["latents"] == 3
    fitted = second.fit(torch.randn(20, 4))
    assert fitted.posterior_.pair.hyperparameters["likelihood"] == "gaussian"
    assert fitted.get_feature_names_out().tolist() == ["vae0", "vae1"]


def test_what_it_cannot_do_is_refused():
    x = np.random.default_rng(0).normal(size=(10, 3))
    with pytest.raises(LookupError, match="pair 'vea'"):
        Features("vea").fit(x)
    with pytest.raises(LookupError, match="method='nuts' is not one of svi, mcmc"):
        Features(method="nuts").fit(x)
    with pytest.raises(TypeError, match="no hyperparameter 'latents'"):
        Features("ppca", latents=2).fit(x)
    with pytest.raises(NotFittedError):
        Features().transform(x)
    with pytest.raises(TypeError, match="one for each step"):
        Features("hmm", states=2, settings=QUICK | {"steps": 1}).fit(pd.DataFrame(x[:4]))
    with pytest.raises(ValueError, match="features"):
        Features("ppca", factors=1, settings=QUICK).fit(x).transform(x[:, :2])


def test_the_posterior_is_that_of_the_method():
    x = zoo.data.load("iris").x.numpy()
    settings = {"kernel": "hmc", "chains": 2, "warmup": 3, "draws": 5, "compile": False, "device": "cpu"}
    found = Features("ppca", method="mcmc", factors=1, settings=settings).fit(x)
    assert isinstance(found.posterior_, inference.Posterior)
    assert found.posterior_.shape == (2, 5)
