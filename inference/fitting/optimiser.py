"""The rule by which a fit moves its parameters: any of torch's that treats every number alike."""

import inspect

import torch
from torch import Tensor
from torch.optim import Optimizer

from ..suggest import unknown

# Not here: rules that need a closure (LBFGS), sparse gradients, or norms over what is a batch of separate fits.
NAMES = ("ASGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "RMSprop", "Rprop", "SGD")


def check_optimiser(name: str) -> None:
    """Refuse an optimiser that there is not. Raises ValueError that suggests the nearest."""
    if name not in NAMES:
        raise ValueError(unknown("optimiser", name, NAMES))


def make_optimiser(name: str, parameters: list[Tensor], rates: list[float]) -> Optimizer:
    """The optimiser called `name` in `torch.optim`, for parameters that are each moved by so many times the learning rate.

    All of one rate are a group, which holds it as "rate", and are moved by one operation where torch can do so.
    """
    cls = getattr(torch.optim, name)
    quick = "fused" if "fused" in inspect.signature(cls).parameters else "foreach"
    groups = {rate: [p for p, own in zip(parameters, rates, strict=True) if own == rate] for rate in dict.fromkeys(rates)}
    return cls([{"params": group, "rate": rate} for rate, group in groups.items()], **{quick: True})


def pace(optimiser: Optimizer, lr: float) -> None:
    """Set the learning rate."""
    for group in optimiser.param_groups:
        group["lr"] = lr * group["rate"]


def export_optimiser(optimiser: Optimizer) -> tuple[dict[str, Tensor], dict[str, float]]:
    """What an optimiser remembers of each parameter: tensors and numbers, under "<parameter's number>.<its name there>"."""
    state = optimiser.state_dict()["state"]
    flat = {f"{i}.{key}": value for i, memory in state.items() for key, value in memory.items()}
    tensors = {key: value.clone() for key, value in flat.items() if isinstance(value, Tensor)}
    return tensors, {key: value for key, value in flat.items() if key not in tensors and value is not None}


def adopt_optimiser(optimiser: Optimizer, tensors: dict[str, Tensor], numbers: dict[str, float]) -> None:
    """Go on from what `export_optimiser` gave."""
    state: dict[int, dict] = {}
    for key, value in (tensors | numbers).items():
        i, _, name = key.partition(".")
        state.setdefault(int(i), {})[name] = value
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})


def clipped(grads: list[Tensor], most: float | None) -> list[Tensor]:
    """Gradients (restart, ...) with the norm of each restart's held to `most`."""
    if most is None:
        return grads
    norm = sum(grad.reshape(len(grad), -1).square().sum(1) for grad in grads).sqrt()
    scale = (most / norm.clamp(min=most)).to(grads[0].dtype)
    return [grad * scale.reshape(-1, *[1] * (grad.dim() - 1)) for grad in grads]
