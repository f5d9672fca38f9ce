"""The states of torch's random numbers, so that a run goes on with those that it would have drawn."""

import torch
from torch import Tensor


def export_generators(device: torch.device) -> dict[str, Tensor]:
    """By name, that of the CPU, and that of the device if it is another."""
    on_device = {"device_generator": torch.cuda.get_rng_state(device)} if device.type == "cuda" else {}
    return {"generator": torch.get_rng_state(), **on_device}


def adopt_generators(tensors: dict[str, Tensor], device: torch.device) -> None:
    """Go on from what `export_generators` gave, which may lie among other tensors."""
    torch.set_rng_state(tensors["generator"].cpu())
    if "device_generator" in tensors:
        torch.cuda.set_rng_state(tensors["device_generator"].cpu(), device)
