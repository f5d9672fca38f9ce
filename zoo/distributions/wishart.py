"""The Wishart distribution of a precision matrix, through its Cholesky factor."""

import math

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

from inference.supports import cholesky


class WishartTril(TorchDistribution):
    """Cholesky factors P (lower, positive diagonal) of precision matrices P P' ~ Wishart(df, V), where V = S S'.

    The mean of P P' is df V. In one dimension P^2 ~ Gamma(df / 2, 1 / (2 V)). Draws are Bartlett's: P = S A with A lower
    triangular, A_ii^2 ~ chi^2(df - i) for i = 0, 1, ..., A_ij ~ Normal(0, 1) below the diagonal.

    Arguments:
        df: (*batch,) degrees of freedom, above D - 1. scale_tril: (*batch, D, D) S, lower triangular.

    Reference: M. S. Bartlett 1933, "On the theory of statistical regression", Proc. R. Soc. Edinburgh 53.
    """

    arg_constraints = {"df": constraints.positive, "scale_tril": cholesky}
    support = cholesky
    has_rsample = True

    def __init__(self, df: Tensor, scale_tril: Tensor, validate_args: bool | None = None) -> None:
        shape = torch.broadcast_shapes(df.shape, scale_tril.shape[:-2])
        self.df, self.scale_tril = df.expand(shape), scale_tril.expand(shape + scale_tril.shape[-2:])
        super().__init__(shape, scale_tril.shape[-2:], validate_args=validate_args)

    def expand(self, batch_shape: torch.Size, _instance: "WishartTril | None" = None) -> "WishartTril":
        return WishartTril(self.df.expand(batch_shape), self.scale_tril.expand(torch.Size(batch_shape) + self.event_shape), False)

    def _chi_dfs(self) -> Tensor:
        return self.df[..., None] - torch.arange(self.event_shape[-1], dtype=self.df.dtype, device=self.df.device)

    def rsample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:
        shape = torch.Size(sample_shape) + self.scale_tril.shape
        diagonal = (2 * torch._standard_gamma(0.5 * self._chi_dfs().expand(shape[:-1]))).sqrt()
        below = torch.randn(shape, dtype=diagonal.dtype, device=diagonal.device).tril(-1)
        return self.scale_tril @ (below + torch.diag_embed(diagonal))

    def log_prob(self, value: Tensor) -> Tensor:
        dim = self.event_shape[-1]
        logs = value.diagonal(dim1=-2, dim2=-1).log()
        scale_logs = self.scale_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        whitened = torch.linalg.solve_triangular(self.scale_tril, value, upper=False)
        # (df - D - 1) sum log P_ii of the Wishart, with sum (D - i) log P_ii and D log 2 of the Jacobian of P -> P P'.
        weights = self.df[..., None] - 1 - torch.arange(dim, dtype=value.dtype, device=value.device)
        normaliser = self.df * scale_logs + 0.5 * self.df * dim * math.log(2) + torch.mvlgamma(0.5 * self.df, dim)
        return (weights * logs).sum(-1) + dim * math.log(2) - 0.5 * whitened.square().sum((-2, -1)) - normaliser
