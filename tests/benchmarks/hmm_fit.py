"""A fit of a hidden Markov model to 64 series of 500 steps, 5 Gaussian states in 3 columns: ours, and hmmlearn's EM.

Both sides begin by themselves and end where more steps change little. Seconds are everything from the call to parameters in hand. How
well a side fits is the log-likelihood of its parameters, by the same code for both: of EM's end, and of the posterior's mode.
"""

import time
from typing import Any

import numpy as np

from .side import apart

SERIES, STEPS, STATES, COLUMNS = 64, 500, 5, 3


def ours(steps: int) -> dict[str, Any]:
    """Seconds, and the parameters found."""
    import torch

    import inference
    import zoo

    x = torch.tensor(_series())
    begin = time.perf_counter()
    pair = zoo.create("hmm", x, states=STATES, covariance="diag")
    found = inference.svi(pair, x, guide="map", steps=steps, draws=1, device="cpu")
    seconds = time.perf_counter() - begin
    values = {name: found.draws[name][0, 0].double().tolist() for name in ("initial", "transition", "locs", "precisions")}
    return {"seconds": seconds, **values, "own": float(found.log_likelihood(x).double().sum())}


def hmmlearn(tolerance: float, seeds: int) -> dict[str, Any]:
    """Seconds, and the parameters found, from the seed of so many that ends highest: EM stays where its clusters put it."""
    from hmmlearn.hmm import GaussianHMM

    x = _series().astype(np.float64).reshape(-1, COLUMNS)
    ends = []
    for seed in range(seeds):
        begin = time.perf_counter()
        model = GaussianHMM(STATES, covariance_type="diag", n_iter=1000, tol=tolerance, random_state=seed)
        model.fit(x, [STEPS] * SERIES)
        ends.append((model.score(x, [STEPS] * SERIES), time.perf_counter() - begin, model))
    own, seconds, model = max(ends, key=lambda end: end[0])
    variances = np.stack([matrix.diagonal() for matrix in model.covars_])
    found = {"initial": model.startprob_, "transition": model.transmat_, "locs": model.means_, "precisions": 1 / variances}
    told = {"seconds": seconds, "own": float(own), "rounds": model.monitor_.iter, "all": [float(end[0]) for end in ends]}
    return {**told, **{name: value.tolist() for name, value in found.items()}}


def log_likelihood(found: dict[str, Any]) -> float:
    """Of the parameters that a side found, by our operator in double precision."""
    import torch

    from zoo.distributions.gaussian import DiagonalGaussian
    from zoo.series.hidden_markov import HiddenMarkov

    initial, transition, locs, precisions = (
        torch.tensor(found[name], dtype=torch.double) for name in ("initial", "transition", "locs", "precisions")
    )
    chain = HiddenMarkov(initial.log(), transition.log(), DiagonalGaussian(locs, precisions.rsqrt()), STEPS)
    return chain.log_prob(torch.tensor(_series(), dtype=torch.double)).sum().item()


def _series() -> np.ndarray:
    """(N, T, D) from states that last, whose locations overlap somewhat."""
    rng = np.random.default_rng(0)
    locs, scales = 3 * rng.normal(size=(STATES, COLUMNS)), rng.uniform(0.5, 1.5, (STATES, COLUMNS))
    moves = 0.9 * np.eye(STATES) + 0.1 * rng.dirichlet(np.ones(STATES), STATES)
    states = np.empty((SERIES, STEPS), int)
    states[:, 0] = rng.integers(STATES, size=SERIES)
    for t in range(1, STEPS):
        states[:, t] = (rng.random(SERIES)[:, None] > moves[states[:, t - 1]].cumsum(1)).sum(1)
    return (locs[states] + scales[states] * rng.normal(size=(SERIES, STEPS, COLUMNS))).astype(np.float32)


def main(quick: bool) -> None:
    """Print seconds and log-likelihoods of both, and the ratio of the seconds."""
    own, theirs = apart(ours, steps=20 if quick else 50), apart(hmmlearn, tolerance=1.0 if quick else 1e-2, seeds=2 if quick else 5)
    logs = [log_likelihood(found) for found in (own, theirs)]
    if abs(logs[1] - theirs["own"]) > 1e-8 * abs(logs[1]):
        raise ValueError(f"hmmlearn and we disagree about the log-likelihood of its parameters: {theirs['own']} and {logs[1]}")
    print(f"\nhidden Markov model, fit of {SERIES} x {STEPS}, K={STATES}, D={COLUMNS}: seconds and log-likelihood")
    print(f"  ours {own['seconds']:.2f}, {logs[0]:.2f}; hmmlearn {theirs['seconds']:.2f}, {logs[1]:.2f} in {theirs['rounds']} rounds of EM")
    print(f"  ratio of seconds {own['seconds'] / theirs['seconds']:.2f}, ours {logs[0] - logs[1]:+.2f} nats")
    print(f"  hmmlearn's seeds ended at {', '.join(f'{end:.1f}' for end in theirs['all'])}; the highest is told", flush=True)
