"""The few pieces of torch and Pyro that functorch cannot trace or batch, in a form that it can.

They are put in place while a program is traced, and only then, so that other users of Pyro in the process see no difference.
"""

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import pyro
import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from pyro.poutine.enum_messenger import EnumMessenger
from torch import Tensor
from torch._C._functorch import TransformType
from torch._functorch.autograd_function import custom_function_call
from torch.distributions import Cauchy, Exponential, Gamma, Laplace

_NORMAL_USERS = (
    "torch.distributions.normal",
    "torch.distributions.multivariate_normal",
    "torch.distributions.lowrank_multivariate_normal",
    "torch.distributions.studentT",
)
_SAFE_LOG_USERS = ("pyro.ops.special", "pyro.ops.einsum.torch_log", "pyro.distributions.hmm")


def _standard_normal(shape: torch.Size, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.randn(shape, dtype=dtype, device=device)


class _SafeLog(torch.autograd.Function):
    """log(x) with a finite gradient at zero, as `pyro.ops.special.safe_log`."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x.log()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(inputs[0])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return grad / x.clamp(min=torch.finfo(x.dtype).eps)


class _Dirichlet:
    """Dirichlet draws as normalised gammas: the same law and implicit gradient, in operations that can be batched."""

    @staticmethod
    def apply(concentration: Tensor) -> Tensor:
        gammas = torch._standard_gamma(concentration).clamp(min=torch.finfo(concentration.dtype).tiny)
        return gammas / gammas.sum(-1, keepdim=True)


def _gamma_rsample(self: Gamma, sample_shape: torch.Size = torch.Size()) -> Tensor:
    """A gamma draw without the in-place clamp that cannot be batched."""
    shape = self._extended_shape(sample_shape)
    value = torch._standard_gamma(self.concentration.expand(shape)) / self.rate.expand(shape)
    return value.clamp(min=torch.finfo(value.dtype).tiny)


def _uniform(like: Tensor, shape: torch.Size) -> Tensor:
    """Uniform on the open interval (0, 1)."""
    tiny = torch.finfo(like.dtype).tiny
    return torch.rand(shape, dtype=like.dtype, device=like.device).clamp(min=tiny)


def _cauchy_rsample(self: Cauchy, sample_shape: torch.Size = torch.Size()) -> Tensor:
    """A Cauchy draw by its quantile: torch fills a tensor in place, which cannot be batched. The next two likewise."""
    return self.loc + self.scale * torch.tan(math.pi * (_uniform(self.loc, self._extended_shape(sample_shape)) - 0.5))


def _exponential_rsample(self: Exponential, sample_shape: torch.Size = torch.Size()) -> Tensor:
    return -_uniform(self.rate, self._extended_shape(sample_shape)).log() / self.rate


def _laplace_rsample(self: Laplace, sample_shape: torch.Size = torch.Size()) -> Tensor:
    u = 2 * _uniform(self.loc, self._extended_shape(sample_shape)) - 1
    return self.loc - self.scale * u.sign() * torch.log1p(-u.abs().clamp(max=1 - torch.finfo(u.dtype).eps))


def _note_dims(self: EnumMessenger, msg: dict[str, Any]) -> None:
    """Which dims of a site's value are enumerated, read off its shape alone: `.data` is barred under `vmap`."""
    if not isinstance(msg["fn"], TorchDistributionMixin) or msg["value"] is None:
        return
    shape = msg["value"].shape[: msg["value"].dim() - msg["fn"].event_dim]
    dims = msg["infer"].setdefault("_dim_to_id", {})
    dims.update(self._param_dims.get(msg["name"], {}))
    self._value_dims[msg["name"]] = {dim: i for dim, i in dims.items() if len(shape) >= -dim and shape[dim] > 1}


def _functionalized(_: Any, function: type[torch.autograd.Function], *args: Any) -> Any:
    """An autograd function whose outputs nobody differentiates below functionalisation: its forward, which torch has no rule for."""
    return function.forward(*args)


def _unchecked(value: Tensor, *_: Any, **__: Any) -> Tensor:
    return value


def _replacements() -> Iterator[tuple[str, Callable]]:
    for module in _NORMAL_USERS:
        yield f"{module}._standard_normal", _standard_normal
    for module in _SAFE_LOG_USERS:
        yield f"{module}.safe_log", _SafeLog.apply
    yield "torch.distributions.gamma.Gamma.rsample", _gamma_rsample
    yield "torch.distributions.cauchy.Cauchy.rsample", _cauchy_rsample
    yield "torch.distributions.exponential.Exponential.rsample", _exponential_rsample
    yield "torch.distributions.laplace.Laplace.rsample", _laplace_rsample
    yield "torch.distributions.dirichlet._Dirichlet", _Dirichlet
    yield "pyro.poutine.enum_messenger.EnumMessenger._pyro_post_sample", _note_dims
    # Both look at values, which a traced program does not have.
    yield "pyro.poutine.trace_struct.warn_if_nan", _unchecked
    yield "pyro.poutine.trace_struct.warn_if_inf", _unchecked


@contextmanager
def traceable() -> Iterator[None]:
    """Inside the block Pyro programs may be traced, differentiated and batched by functorch; arguments are not validated."""
    with ExitStack() as stack:
        for name, replacement in _replacements():
            stack.enter_context(patch(name, replacement))
        stack.enter_context(patch.dict(custom_function_call.functorch_table, {TransformType.Functionalize: _functionalized}))
        stack.enter_context(warnings.catch_warnings())
        warnings.filterwarnings("ignore", message="There is a performance drop", category=UserWarning)
        stack.enter_context(pyro.validation_enabled(False))
        stack.enter_context(pyro.settings.context(module_local_params=True))
        yield
