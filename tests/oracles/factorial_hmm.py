"""The factorial hidden Markov model by hand: every path of every chain, one by one."""

import itertools

import numpy as np
import scipy.stats as st

from . import Case, fa, hmm

given = fa.given


def cases() -> list[Case]:
    """One column and several, two chains and three, every way to begin, with and without gaps and padding; short series."""
    rng = np.random.default_rng(3)
    numbers = rng.normal(size=(3, 4, 2)).cumsum(1) * [1.0, 0.5] + [0.4, -1.0]
    holes = numbers.copy()
    holes[0, 1], holes[2, 3:], holes[1, 0, 1] = np.nan, np.nan, np.nan
    prior = {"concentration": 1.5, "stickiness": 0.7}
    sizes = {"dim": 2, "center": [0.3, -0.8], "spread": [1.5, 0.7], "loc_scale": 3.0}
    return [
        Case("one", {"center": 0.2, "spread": 1.4, "initial": "stationary", **prior}, numbers[..., 0]),
        Case("gaps", {"contribution_scale": 1.5, **sizes, **prior}, holes),
        Case("three-states", {"states": 3, "spread": 1.2, "noise_scale": 0.5, "initial": "uniform"}, holes[:, :3, 0]),
        Case("three-chains", {"chains": 3, "spread": 1.2}, holes[:2, :3, 0]),
    ]


def log_joint(pair, values: dict[str, np.ndarray], x: np.ndarray) -> float:
    known = given(pair)
    spread, states = known["spread"], known["states"]
    prior = known["concentration"] + known["stickiness"] * np.eye(states)
    total = sum(hmm.log_dirichlet(row, own) for chain in values["transition"] for row, own in zip(chain, prior, strict=True))
    if known["initial"] == "free":
        total += sum(hmm.log_dirichlet(row, np.ones(states)) for row in values["initial"])
    total += st.norm(known["center"], known["loc_scale"] * spread).logpdf(values["loc"]).sum()
    total += st.halfcauchy(scale=known["noise_scale"] * spread).logpdf(values["noise"]).sum()
    for scale, column in zip(known["contribution_scale"] * spread, values["contributions"], strict=True):
        # Of K normal numbers their sum is normal with K times the variance; its density in the mean direction's unit of length.
        for own in column:
            total += st.norm(0, scale).logpdf(own).sum() - st.norm(0, scale).logpdf(0.0)
    start, moves, terms = chain(known, values), product(values), None
    for row in x.reshape(*x.shape[:2], known["dim"]):
        terms = emission(values, row)
        total += hmm.log_row(start, moves, terms)
    return float(total)


def log_evidence(pair, x: np.ndarray) -> float | None:
    return None


def chain(known, values: dict[str, np.ndarray]) -> np.ndarray:
    """(K^M,) the probabilities of the product states at the first step."""
    firsts = [
        hmm.chain(known, {"transition": moves, "initial": values.get("initial", [None] * len(values["transition"]))[m]})[0]
        for m, moves in enumerate(values["transition"])
    ]
    return np.array([np.prod([first[k] for first, k in zip(firsts, state, strict=True)]) for state in joint(values)])


def product(values: dict[str, np.ndarray]) -> np.ndarray:
    """(K^M, K^M) the transition of the product states."""
    found = np.ones((1, 1))
    for moves in values["transition"]:
        found = np.kron(found, moves)
    return found


def joint(values: dict[str, np.ndarray]) -> list[tuple[int, ...]]:
    """The state of each chain in every product state."""
    chains, states = values["transition"].shape[:2]
    return list(itertools.product(range(states), repeat=chains))


def emission(values: dict[str, np.ndarray], row: np.ndarray) -> np.ndarray:
    """(T, K^M) log p(step | product state) of a series (T, D); what is missing counts for nothing."""
    found = []
    for state in joint(values):
        mean = values["loc"] + sum(values["contributions"][:, m, k] for m, k in enumerate(state))
        found.append(np.nansum(st.norm(mean, values["noise"]).logpdf(row), 1))
    return np.array(found).T
