"""What a hidden state shows at a step, by family: D columns, each family with its prior, its guide and its start from the data.

| emission            | a column shows               | sites                         | prior                                           |
|---------------------|------------------------------|-------------------------------|-------------------------------------------------|
| `gaussian`          | numbers                      | `locs`, `precisions` or kin   | as in `zoo/covariance.py`                       |
| `student`           | numbers, some far out        | `locs`, `scales`, `freedoms`  | Normal(center, .), LogNormal, Gamma(2, 0.1)     |
| `mixture`           | numbers of several kinds     | `locs`, `scales` (K, M, D), `weights` (K, M) | Normal, LogNormal, Dirichlet    |
| `von_mises`         | angles                       | `vectors` (K, D, 2)           | Cauchy in the plane, of scale `sharpness`       |
| `poisson`           | counts 0, 1, 2, ...          | `rates`                       | Gamma(shape, shape / center)                    |
| `negative_binomial` | counts that vary more        | `means`, `dispersions`        | Gamma(shape, shape / center), Gamma(2, 0.1)     |
| `exponential`       | waiting times                | `hazards`                     | Gamma(shape, shape * center)                    |
| `gamma`             | positive amounts             | `amounts`, `forms`            | Gamma(shape, shape / center), Gamma(2, 0.5)     |
| `categorical`       | one of V codes 0, ..., V - 1 | `probabilities` (K, D, V)     | Dirichlet(smoothing, ..., smoothing)            |
| `bernoulli`         | 0 or 1                       | `chances`                     | Beta(smoothing, smoothing)                      |
| `autoregressive`    | numbers, by the steps before | `locs`, `scales`, `coefficients` (K, D, P D) | Normal, LogNormal, Normal(0, .)  |

Sites are of shape (K, D) where nothing else is said. The direction of a vector is where a state's angles point to, its length their
concentration.
"""

from .codes import log
from .emission import Emission
from .make import FAMILIES, Family, make

__all__ = ["FAMILIES", "Emission", "Family", "log", "make"]
