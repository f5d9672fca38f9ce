"""Random numbers that are a function of (key, count, lane), and of nothing else.

Each chain has a key, made from the seed and the chain's number; a count says which event of the chain the numbers are for. A
chain's numbers therefore do not depend on how many chains run beside it, on the device, or on whether the run was cut off and
taken up again, and there is no generator whose state must be kept.

A key is a place in the sequence of SplitMix64, whose period is 2^64, and each count the beginning of 2^20 numbers from there.

Source: Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators", OOPSLA.
"""

import math

import torch
from torch import Tensor

GOLDEN = -0x61C8864680B583EB
FIRST, SECOND = -0x40A7B892E31B1A47, -0x6B2FB644ECCEEE15


def keys(seed: int, chains: int, device: torch.device) -> Tensor:
    """(chain,) int64, the key of every chain."""
    base = _mixed(torch.tensor(seed % 2**63, dtype=torch.int64, device=device))
    return _mixed(base + GOLDEN * (1 + torch.arange(chains, device=device)))


def uniform(key: Tensor, count: Tensor, lanes: int) -> Tensor:
    """(..., lanes) of numbers in (0, 1), double precision, for keys and counts (int64) that broadcast to (...)."""
    place = key + (count << 20) * GOLDEN
    bits = _mixed(place[..., None] + GOLDEN * (1 + torch.arange(lanes, device=key.device)))
    return (_shifted(bits, 11).double() + 0.5) * 2.0**-53


def normal(uniforms: Tensor) -> Tensor:
    """Standard normal numbers of the same shape, from uniform ones."""
    return math.sqrt(2) * torch.erfinv(2 * uniforms - 1)


def _mixed(bits: Tensor) -> Tensor:
    bits = (bits ^ _shifted(bits, 30)) * FIRST
    bits = (bits ^ _shifted(bits, 27)) * SECOND
    return bits ^ _shifted(bits, 31)


def _shifted(bits: Tensor, places: int) -> Tensor:
    """Shifted right, zeros moving in: torch's own shift keeps the sign."""
    return (bits >> places) & (2 ** (64 - places) - 1)
