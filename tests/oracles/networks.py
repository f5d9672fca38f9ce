"""Networks of codes by hand, in numpy: dense layers, convolutions pixel by pixel, flows row by row."""

from collections.abc import Callable

import numpy as np
from scipy.special import expit

SLOPE = 1e-3


def silu(u: np.ndarray) -> np.ndarray:
    return u * expit(u)


def leaky(u: np.ndarray) -> np.ndarray:
    return np.where(u > 0, u, 0.2 * u)


ACTIVATIONS = {"silu": silu, "tanh": np.tanh}


def dense(net, z: np.ndarray, bent: Callable = silu) -> np.ndarray:
    """Affine layers, with u / (1 + exp(-u)) or another activation between them."""
    *hidden, last = layers(net)
    for weight, bias in hidden:
        z = bent(z @ weight.T + bias)
    return z @ last[0].T + last[1]


def layers(net) -> list[tuple[np.ndarray, np.ndarray]]:
    """Weights and biases, in order."""
    state = {name: value.detach().numpy() for name, value in net.state_dict().items()}
    return [(state[name], state[name.replace("weight", "bias")]) for name in state if name.endswith("weight")]


def enlarged(net, z: np.ndarray, image: list[int], bent: Callable = silu) -> np.ndarray:
    """(rows, height * width * channels) what a decoder of convolutions makes of codes: each number spread over 4 x 4 pixels."""
    (weight, bias), *rest = layers(net)
    count = 2 ** len(rest)
    planes = (z @ weight.T + bias).reshape(len(z), -1, image[0] // count, image[1] // count)
    for weight, bias in rest:
        rows, _, height, width = planes.shape
        planes, made = bent(planes), np.zeros((rows, weight.shape[1], 2 * height + 2, 2 * width + 2))
        for i in range(height):
            for j in range(width):
                made[:, :, 2 * i : 2 * i + 4, 2 * j : 2 * j + 4] += np.einsum("nc,cdij->ndij", planes[:, :, i, j], weight)
        planes = made[:, :, 1:-1, 1:-1] + bias[:, None, None]
    return planes.transpose(0, 2, 3, 1).reshape(len(z), -1)


def shrunk(net, seen: np.ndarray, image: list[int], bent: Callable = silu) -> np.ndarray:
    """(rows, outputs) what an encoder of convolutions makes of blocks of height * width * channels numbers, and of those behind them."""
    *convolutions, (last, offset) = layers(net)
    pixels = convolutions[0][0].shape[1] * image[0] * image[1]
    seen, beside = seen[:, :pixels], seen[:, pixels:]
    blocks = seen.reshape(len(seen), -1, *image)
    planes = blocks.transpose(0, 1, 4, 2, 3).reshape(len(seen), -1, *image[:2])
    for weight, bias in convolutions:
        rows, _, height, width = planes.shape
        planes, made = np.pad(planes, ((0, 0), (0, 0), (1, 1), (1, 1))), np.zeros((rows, len(weight), height // 2, width // 2))
        for i in range(height // 2):
            for j in range(width // 2):
                made[:, :, i, j] = np.einsum("ncij,dcij->nd", planes[:, :, 2 * i : 2 * i + 4, 2 * j : 2 * j + 4], weight)
        planes = bent(made + bias[:, None, None])
    return np.concatenate([planes.reshape(len(seen), -1), beside], 1) @ last.T + offset


def straightened(flow, z: np.ndarray, context: np.ndarray) -> tuple[np.ndarray, float]:
    """The numbers (Q,) that a flow bends to the code z, and the log of how much it stretches there that way."""
    total, most = 0.0, abs(np.log(SLOPE))
    for transform in flow.moves.transform.transforms:
        numbers = np.concatenate([z, context])
        *hidden, last = [(weight * mask, bias) for weight, mask, bias in _masked(transform.hyper)]
        for weight, bias in hidden:
            numbers = np.maximum(weight @ numbers + bias, 0.0)
        moved, log_scale = (last[0] @ numbers + last[1]).reshape(len(z), 2).T
        log_scale = log_scale / (1 + np.abs(log_scale) / most)
        z, total = z * np.exp(log_scale) + moved, total + log_scale.sum()
    return z, total


def _masked(net) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    numbered = [layer for layer in net if hasattr(layer, "weight")]
    return [tuple(part.detach().numpy() for part in (layer.weight, layer.mask, layer.bias)) for layer in numbered]
