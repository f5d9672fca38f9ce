"""Holes in scikit-learn's digits, a quarter of the pixels, filled by variational autoencoders and scikit-learn's IterativeImputer.

The likelihood is what counts, and is chosen by the density of rows held out, of which the holes know nothing. "bernoulli" has none for
shades: to it a shade says little, so that codes are drawn too widely.
"""

import torch
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer
from torch import Tensor

import inference
import zoo

LIKELIHOODS = ("continuous_bernoulli", "gaussian", "bernoulli")


def filled(likelihood: str, steps: int, fitted: Tensor, held: Tensor, covered: Tensor) -> tuple[Tensor, float]:
    """Rows with their holes filled, and the mean log density of the rows held out."""
    pair = zoo.create("vae", fitted, latents=16, hidden=[128], likelihood=likelihood)
    posterior = inference.svi(pair, fitted, batch=100, steps=steps, validation=held, device="cpu")
    return posterior.impute(covered).mean, float(posterior.score(held, samples=500).mean())


def main(quick: bool) -> None:
    """Print the error of filled pixels."""
    steps, rows = (1000, 200) if quick else (3000, 597)
    x = zoo.data.load("digits").x
    asked = x[1200 : 1200 + rows]
    missing = torch.rand(asked.shape, generator=torch.Generator().manual_seed(0)) < 0.25
    covered = asked.masked_fill(missing, torch.nan)
    print(f"\nDigits, a quarter of the pixels missing, {rows} images: root mean squared error")
    for likelihood in LIKELIHOODS:
        found, density = filled(likelihood, steps, x[:1000], x[1000:1200], covered)
        said = "" if likelihood == "bernoulli" else f", {density:.1f} nats a row held out"
        print(f"  vae, {likelihood}: {_error(found, asked, missing):.4f}{said}", flush=True)
    imputer = IterativeImputer(random_state=0, keep_empty_features=True).fit(x[:1200].numpy())
    theirs = torch.as_tensor(imputer.transform(covered.numpy()))
    means = x[:1200].mean(0).expand_as(asked)
    print(f"  IterativeImputer: {_error(theirs, asked, missing):.4f}; means: {_error(means, asked, missing):.4f}", flush=True)


def _error(guess: Tensor, truth: Tensor, missing: Tensor) -> float:
    return float((guess - truth)[missing].square().mean().sqrt())
