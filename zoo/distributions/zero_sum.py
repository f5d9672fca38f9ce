"""Vectors that add up to zero."""

import torch
from pyro.distributions import Normal, TorchDistribution, TransformedDistribution
from torch import Tensor
from torch.distributions import constraints, transforms


class ZeroSum(constraints.Constraint):
    """Vectors whose entries add up to zero."""

    event_dim = 1

    def check(self, value: Tensor) -> Tensor:
        scale = 1 + value.abs().amax(-1)
        return value.sum(-1).abs() < 1e3 * torch.finfo(value.dtype).eps * scale * value.shape[-1]


zero_sum = ZeroSum()


class FreeToZeroSum(transforms.Transform):
    """K - 1 numbers as K that add up to zero, by axes at right angles: lengths, and so volumes, stay what they are."""

    domain = constraints.real_vector
    codomain = zero_sum
    bijective = True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FreeToZeroSum)

    def __hash__(self) -> int:
        return hash(FreeToZeroSum)

    def _call(self, x: Tensor) -> Tensor:
        return x @ axes(x.shape[-1] + 1, x).mT

    def _inverse(self, y: Tensor) -> Tensor:
        return y @ axes(y.shape[-1], y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return x.new_zeros(x.shape[:-1])

    def forward_shape(self, shape: torch.Size) -> torch.Size:
        return torch.Size((*shape[:-1], shape[-1] + 1))

    def inverse_shape(self, shape: torch.Size) -> torch.Size:
        return torch.Size((*shape[:-1], shape[-1] - 1))


@torch.distributions.biject_to.register(ZeroSum)
@torch.distributions.transform_to.register(ZeroSum)
def _(constraint: constraints.Constraint) -> transforms.Transform:
    return FreeToZeroSum()


def axes(count: int, like: Tensor) -> Tensor:
    """(K, K - 1) unit vectors at right angles to each other and to (1, ..., 1): each sets an entry off from those before it (Helmert)."""
    number = torch.arange(1, count, dtype=like.dtype, device=like.device)
    before = torch.ones(count, count - 1, dtype=like.dtype, device=like.device).triu()
    last = torch.cat([torch.zeros_like(number)[None], number.diag()])
    return (before - last) / (number * (number + 1)).sqrt()


def zero_sum_normal(scale: Tensor, count: int) -> TorchDistribution:
    """Independent Normal(0, scale) (*batch), given that K = `count` of them add up to zero; event shape (K,)."""
    return TransformedDistribution(Normal(0.0, scale[..., None].expand(*scale.shape, count - 1)).to_event(1), [FreeToZeroSum()])
