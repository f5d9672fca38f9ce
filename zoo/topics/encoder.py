"""Encoder of texts: from how their words pull at a mixture of topics to the law of its logits."""

import torch
from torch import Tensor, nn

from ..codes.nets import mlp
from .slopes import Slope

ROUNDS = 2
# How narrow a logit's law may be, beside its prior: without a least width the first steps, on long texts, may leave it none.
NARROWEST = 1e-3


class TopicEncoder(nn.Module):
    """What mixture of topics a text is: loc and scale of each topic's logit, from the slope of the text's log density in the mixture.

    A network that is the same for all topics, told the slope, the logits so far and the mean over topics of
    what it makes of them, moves the logits; twice. Slopes enter by their inverse hyperbolic sine, since those
    of long texts are large. So topics may come in any order, and the vocabulary has no part in its size.

    Source: Marino, Yue & Mandt 2018, "Iterative amortized inference", ICML; Zaheer et al. 2017, "Deep sets", NeurIPS.
    """

    def __init__(self, hidden: list[int]) -> None:
        super().__init__()
        self.each = mlp([5, *hidden])
        self.all = mlp([2 * hidden[-1], *hidden, 2])

    def forward(self, text: Slope, widest: Tensor) -> tuple[Tensor, Tensor]:
        """(rows, K) both; scales are below `widest`, that of the prior."""
        root = (text.length + 1).sqrt()

        def left(mixture: Tensor) -> Tensor:
            return (text.at(mixture) / root).asinh()

        logits = left(text.first)
        for _ in range(ROUNDS):
            mixture = logits.softmax(-1)
            slope = left(mixture)
            each = self.each(torch.stack([logits / widest, mixture, slope, slope / root, root.log().expand_as(slope)], -1))
            step, wide = self.all(torch.cat([each, each.mean(-2, keepdim=True).expand_as(each)], -1)).unbind(-1)
            logits = logits + step
        return logits, widest * (NARROWEST + (1 - NARROWEST) * wide.sigmoid())
