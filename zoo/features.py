"""Latents as features: a transformer of scikit-learn that learns a pair, and makes of each row what the pair knows of its latents."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

import inference
from inference.answers.latent import Encoded

from .registry import create

METHODS = {"svi": inference.svi, "mcmc": inference.mcmc}


class Features(TransformerMixin, BaseEstimator):
    """The codes of rows, or the probabilities of their components, for a pipeline: `Features("vae", latents=8)`.

    Columns are the mean of each latent given the row, over draws, and where it is discrete its probabilities, as `encode` gives
    them. Missing values are let pass. Once fitted it has `posterior_`, of which all else can be asked.

    Arguments:
        pair: its name. hyperparameters: the pair's; `set_params` and a grid search may set those that were not given, too.
        method: "svi" or "mcmc". settings: of that method, by name, such as {"batch": 100, "steps": 700}.

    Raises, when fitted: LookupError for no such pair or method, and what `zoo.create` and the method raise.
    """

    def __init__(self, pair: str = "ppca", *, method: str = "svi", settings: dict[str, Any] | None = None, **hyperparameters: Any) -> None:
        self.pair, self.method, self.settings, self._hyperparameters = pair, method, settings, hyperparameters

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """By name, the hyperparameters that were given among them."""
        return {"pair": self.pair, "method": self.method, "settings": self.settings, **self._hyperparameters}

    def set_params(self, **params: Any) -> "Features":
        """Set some by name; any other name is a hyperparameter of the pair, which is checked when it is fitted."""
        own = {"pair", "method", "settings"}
        for name in own & params.keys():
            setattr(self, name, params[name])
        self._hyperparameters = self._hyperparameters | {name: value for name, value in params.items() if name not in own}
        return self

    def fit(self, X: Any, y: Any = None) -> "Features":
        """Fit the pair to the rows `X`, as `inference.as_table` reads them. y: not looked at."""
        if self.method not in METHODS:
            raise LookupError(f"method={self.method!r} is not one of {', '.join(METHODS)}")
        x = self._read(X, reset=True, ensure_min_samples=2)
        pair = create(self.pair, x, **self._hyperparameters)
        self.posterior_ = METHODS[self.method](pair, x, **(self.settings or {}))
        self._labels = [f"{self.pair}{i}" for i in range(self._encoded(x).shape[1])]
        return self

    def transform(self, X: Any) -> np.ndarray:
        """(rows, features) the latents of rows. Raises ValueError for rows of other columns than those fitted."""
        check_is_fitted(self)
        return self._encoded(self._read(X, reset=False))

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """The pair's name and a number for each. input_features: not looked at."""
        check_is_fitted(self)
        return np.array(self._labels, dtype=object)

    def _read(self, X: Any, **how: Any) -> Any:
        """Rows that scikit-learn has checked; as they came, where their columns have names for messages to name."""
        checked = validate_data(self, X, accept_sparse="csr", dtype=float, ensure_all_finite="allow-nan", **how)
        return X if isinstance(X, pd.DataFrame) else checked

    def _encoded(self, x: Any) -> np.ndarray:
        found = self.posterior_.encode(x)
        parts = [latent.mean if isinstance(latent, Encoded) else latent for latent in (found.values() if type(found) is dict else [found])]
        arrays = [np.asarray(part) for part in parts]
        if any(array.ndim != 2 or len(array) != len(x) for array in arrays):
            raise TypeError(f"{self.posterior_.name}: the latents of a row are one for each step, and not one row of features")
        return np.concatenate(arrays, 1)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = []
        return tags
