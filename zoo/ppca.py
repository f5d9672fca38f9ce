"""Probabilistic principal component analysis."""

from sklearn import decomposition
from torch import Tensor

from .fa import FactorAnalysis


class PPCA(FactorAnalysis):
    """Rows vary along Q directions, and by the same noise in every column: principal components with a density.

    | symbol    | distribution                                       | shape | meaning                                            |
    |-----------|----------------------------------------------------|-------|----------------------------------------------------|
    | loc       | Normal(center, loc_scale * spread)                 | (D,)  | mean of the rows                                   |
    | relevance | Gamma(ard_shape, ard_shape); 1 without `ard`       | (Q,)  | precision of each factor's loadings: large is idle |
    | loadings  | Normal(0, loading_scale * spread_d / relevance_q^(1/2)) | (D, Q) | what a component adds to each column             |
    | noise     | HalfCauchy(noise_scale * spread, on average)       | ()    | standard deviation of the rest, in every column    |
    | z         | Normal(0, 1), integrated out                       | (N, Q) | the components of each row                        |
    | x         | Normal(loc + loadings z, noise)                    | (N, D) | the rows; `NaN` is integrated out                 |
    | variances | derived                                            | (Q,)  | of the rows along the principal axes, noise apart  |

    All else is as in factor analysis (`zoo/fa.py`). Where the prior is flat, the best point is known in closed form: the loadings
    span the first Q eigenvectors of the rows' covariance, and the noise is the mean of what the other eigenvalues leave.

    Reference: Tipping & Bishop 1999, "Probabilistic principal component analysis", JRSS-B 61; Bishop 1999, "Variational principal
    components", ICANN.

    Limits:
        - One noise for all columns: a column of much larger numbers than the others takes the first component for itself. Of three
          columns that share a factor, and a fourth of noise in units a thousand times as small, it found the fourth. Scale such columns,
          or take `fa`.
        - Components and noise are told by means and covariances alone: a bend, or clusters, are not seen.
        - The number of components is not inferred without `ard`; there must be fewer than columns, and more rows than components.
        - With few rows the guide's noise is too narrow: of four columns its sd came to 0.75 of that of NUTS with 8 rows, 0.9 with 50.

    Arguments:
        factors: Q, how many components.
        dim: D, how many columns. Read off the data.
        center: prior mean of the location, one number or one a column. Read off the data: the columns' means.
        spread: scale of the data, one number or one a column. Read off the data: the columns' standard deviations.
        loc_scale: prior scale of the location, in units of `spread`.
        loading_scale: prior scale of a loading, in units of `spread`.
        noise_scale: prior scale of the noise, in units of `spread`.
        ard: whether to learn how relevant each component is, which turns off those that the data do not need.
        ard_shape: of the Gamma prior on the relevance; small is vague.
    """

    @property
    def noise_shape(self) -> tuple[int, ...]:
        return ()

    @property
    def noise_unit(self) -> Tensor:
        return self.spread.square().mean().sqrt()

    def _closed_form(self, standard: Tensor) -> tuple[Tensor, Tensor]:
        rows = (standard * self.spread).double().cpu().numpy()
        fit = decomposition.PCA(self.factors).fit(rows)
        excess = (fit.explained_variance_ - fit.noise_variance_).clip(min=0) ** 0.5
        weights = standard.new_tensor(fit.components_.T * excess) / self.spread[:, None]
        return weights, (standard.new_tensor(fit.noise_variance_).sqrt() / self.noise_unit).expand(self.dim)
