"""Generative adversarial networks by hand: the generator in numpy, the joint density of rows and codes, and the loss of the critic."""

import numpy as np
from scipy.special import expit
from scipy.stats import norm

from . import Case
from .networks import enlarged, leaky, shrunk

NOISE = 0.3


def cases() -> list[Case]:
    """Numbers and shades, with hidden layers and without, with convolutions, with and without holes."""
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(8, 2)) @ rng.normal(size=(2, 4)) + 0.3 * rng.normal(size=(8, 4)) + 1.0
    shades = expit(4 * numbers - 4).clip(0.02, 0.98).round(1)
    given = {"latents": 2, "dim": 4, "noise": NOISE, "critic_hidden": [5]}
    scaled = {"center": [1.0, 0.8, 1.2, 1.0], "spread": [1.2, 0.7, 1.0, 0.9]}
    convolution = {"network": "convolution", "image": [2, 2, 1]}
    return [
        Case("linear", {**given, "hidden": [], **scaled}, numbers),
        Case("holes", {**given, "hidden": [5], **scaled, "mask": True}, _with_holes(numbers)),
        Case("shades", {**given, "hidden": [4, 3], "network": "residual", "likelihood": "shades", "center": [0.2, 0.5, 0.4, 1.0]}, shades),
        Case("convolution", {**given, "hidden": [3], "likelihood": "shades", **convolution}, _with_holes(shades)),
    ]


def log_joint(pair, values, x) -> float:
    """log p(x, z): the codes in `values`, NaN left out."""
    z = np.asarray(values["z"])
    return float(norm.logpdf(z).sum() + _log_columns(pair, generated(pair, z), np.asarray(x)).sum())


def log_evidence(pair, x) -> None:
    """Of no use: the noise is given, and the weights are not fitted by densities."""


def network(net, rows: np.ndarray) -> np.ndarray:
    """What a network makes of rows: affine layers, between which what is negative is cut to a fifth."""
    state = {name: value.detach().numpy() for name, value in net.state_dict().items()}
    names = [name for name in state if name.endswith("weight")]
    for i, name in enumerate(names):
        rows = (rows if i == 0 else leaky(rows)) @ state[name].T + state.get(name.replace("weight", "bias"), 0.0)
    return rows


def generated(pair, z: np.ndarray) -> np.ndarray:
    """What the generator makes of codes."""
    given, net = pair.hyperparameters, pair.generator
    if given["image"]:
        return enlarged(net, z, given["image"], leaky)
    return residual(net, z) if given["network"] == "residual" else network(net, z)


def residual(net, rows: np.ndarray) -> np.ndarray:
    """What a residual network makes of rows: to what goes into a block, two affine layers of it are added."""
    first, *blocks, _, last = net
    rows = affine(first, rows)
    for block in blocks:
        _, one, _, other = block.layers
        past = rows if rows.shape[1] == one.out_features else affine(block.past, rows)
        rows = past + affine(other, leaky(affine(one, leaky(rows))))
    return affine(last, leaky(rows))


def affine(layer, rows: np.ndarray) -> np.ndarray:
    return rows @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()


def read(pair, net, seen: np.ndarray) -> np.ndarray:
    """What encoder or critic makes of what it is shown: by convolutions too, after which there are two affine layers."""
    image = pair.hyperparameters["image"]
    if not image:
        return network(net, seen)
    return network(net[2], leaky(shrunk(net[0], seen, image, leaky)))


def features(pair, x: np.ndarray) -> np.ndarray:
    """What encoder and critic see of rows: in units of their spread, of shades one for all columns; then which are missing."""
    given = pair.hyperparameters
    spread = np.broadcast_to(np.array(given["spread"], float), x.shape[1:])
    scale = np.sqrt((spread**2).mean()) if given["likelihood"] == "shades" else spread
    seen = np.where(np.isnan(x), 0.0, (x - np.array(given["center"])) / scale)
    return np.concatenate([seen, np.isnan(x)], 1) if given["mask"] else seen


def told(seen: np.ndarray, made: np.ndarray) -> float:
    """log 2 less the critic's loss, of its numbers for rows seen and rows made, two by two."""
    return float(np.log(2) - np.logaddexp(0, made - seen).mean())


def best(shift: float) -> float:
    """The same of the best critic there is, the log ratio of densities, for Normal(shift, 1) and Normal(0, 1), by quadrature."""
    at, weights = np.polynomial.hermite_e.hermegauss(80)
    odds = shift**2 + np.sqrt(2) * shift * at
    return float(np.log(2) - (weights * np.logaddexp(0, -odds)).sum() / np.sqrt(2 * np.pi))


def _log_columns(pair, output: np.ndarray, x: np.ndarray) -> np.ndarray:
    """(rows, D) log density of every column that was seen; at 0 and 1, of shades, the logs of the masses there."""
    given = pair.hyperparameters
    center, spread = (np.broadcast_to(np.array(given[name], float), x.shape) for name in ("center", "spread"))
    if given["likelihood"] == "gaussian":
        found = norm.logpdf(x, center + spread * output, given["noise"] * spread)
    else:
        mean = np.clip(center, 0.01, 0.99)
        loc = expit(np.log(mean / (1 - mean)) + output)
        inside = norm.logpdf(x, loc, given["noise"])
        ends = norm.logcdf(0, loc, given["noise"]), norm.logsf(1, loc, given["noise"])
        found = np.select([x <= 0, x >= 1], ends, inside)
    return np.where(np.isnan(x), 0.0, found)


def _with_holes(x: np.ndarray) -> np.ndarray:
    x = x.copy()
    x[1, 0] = x[4, 2] = x[6, 0] = x[6, 1] = np.nan
    return x
