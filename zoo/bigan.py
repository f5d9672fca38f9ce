"""Bidirectional generative adversarial network."""

import pyro
import pyro.distributions as dist
from torch import Tensor, nn

from .codes.nets import Critic
from .codes.pictures import codes
from .gan import GenerativeAdversarialNetwork


class BidirectionalGAN(GenerativeAdversarialNetwork):
    """A network makes rows of codes, another codes of rows, and a third, the critic, cannot tell which of a row and its code was first.

    | symbol    | distribution                       | shape  | meaning                                                |
    |-----------|------------------------------------|--------|--------------------------------------------------------|
    | generator | its weights are learnt, as a point |        | network from codes to rows, with layers `hidden`       |
    | z         | Normal(0, 1)                       | (N, Q) | code of each row                                       |
    | x         | `likelihood`(generator(z))         | (N, D) | the rows; `NaN` is not shown to encoder and critic     |

    The guide is a point (Delta) for each code, where an encoder with the same layers, backwards, puts the row. The critic is shown rows
    with their codes: those of the data with the encoder's, and those of the generator with what they were made of. Where it cannot tell
    them apart, the generator's rows are those of the data, and the encoder inverts the generator. All else is as in `gan`.

    Reference: Donahue, Kraehenbuehl & Darrell 2017, "Adversarial feature learning", and Dumoulin et al. 2017, "Adversarially learned
    inference", both ICLR.

    Limits:
        - Its loss depends on the critic, and of two fits the lower is not the better: judge by `posterior.fidelity`.
        - The encoder inverts the generator only as far as the critic sees. By eight codes the nearest neighbour named 59% of digits, by
          those of `autoencoder` 93%.
        - A code is a point: nothing tells how sure it is.
        - Clusters may be left out, steps are many, and columns are numbers or shades, as in `gan`.

    Arguments:
        hidden: sizes of the generator's hidden layers, from the code to the row, and of the encoder's, backwards; none is a linear map. Of
            convolutions, their channels; a dense layer follows the encoder's.
        network: "dense"; "residual", where each hidden layer of generator and encoder is two that add to what goes in, for rows in many
            clusters; or "convolution", whose hidden layers each double the height and width of an image, and halve them backwards.
    """

    unsuited = {
        "mcmc": GenerativeAdversarialNetwork.unsuited["mcmc"],
        "log_likelihood": GenerativeAdversarialNetwork.unsuited["log_likelihood"],
        "impute": "it has no densities by which to draw what is missing; posterior.reconstruct has its mean through the code, or use 'vae'",
    }

    def networks(self) -> dict[str, nn.Module]:
        encoder = self.reader(self.hyperparameters["hidden"][::-1], self.latents, dense=self.dense)
        return super().networks() | {"q_encoder": encoder}

    def guide(self, x: Tensor, size: int | None = None) -> None:
        with self.rows(x, size):
            pyro.sample("z", dist.Delta(self.q_encoder(self.features(x)), event_dim=1))

    def critic(self) -> nn.Module:
        """A new one, of rows with their codes."""
        return Critic(self.reader(self.hyperparameters["critic_hidden"], 1, self.latents), ["z"])

    # More of a column means something, as it does of a pixel.
    has_shades = True
    picture = staticmethod(codes)
