"""Encoder of texts for topics whose weights of words add up."""

import torch
from torch import Tensor, nn

from inference.missing import observed

from ..codes.nets import mlp

ROUNDS = 2
# How narrow a logit's law may be, beside its prior: without a least width the first steps, on long texts, may leave it none.
NARROWEST = 1e-3


class TopicEncoder(nn.Module):
    """What mixture of topics a text is: loc and scale of each topic's logit, from how far its words are from those foretold.

    If words have probabilities p = softmax(background + mixture @ weights), then (x - length p) @ weights is the gradient of the text's
    log density in the mixture. A network that is the same for all topics, told that, the logits so far and the mean over topics of
    what it makes of them, moves the logits; twice. Gradients enter by their inverse hyperbolic sine, since those
    of long texts are large. So topics may come in any order, and the vocabulary has no part in its size.

    Source: Marino, Yue & Mandt 2018, "Iterative amortized inference", ICML; Zaheer et al. 2017, "Deep sets", NeurIPS.
    """

    def __init__(self, hidden: list[int]) -> None:
        super().__init__()
        self.each = mlp([5, *hidden])
        self.all = mlp([2 * hidden[-1], *hidden, 2])

    def forward(self, x: Tensor, weights: Tensor, background: Tensor, widest: Tensor) -> tuple[Tensor, Tensor]:
        """(rows, K) both, of counts x (rows, V), weights (K, V) and background (V,); scales are below `widest`, that of the prior."""
        counts, seen = observed(x)
        length = counts.sum(-1, keepdim=True)
        root = (length + 1).sqrt()

        def left(mixture: Tensor) -> Tensor:
            words = (background + mixture @ weights).softmax(-1) * seen
            share = words / words.sum(-1, keepdim=True).clamp(min=torch.finfo(x.dtype).tiny)
            return ((counts - length * share) @ weights.mT / root).asinh()

        logits = left(x.new_zeros(len(x), len(weights)))
        for _ in range(ROUNDS):
            mixture = logits.softmax(-1)
            slope = left(mixture)
            each = self.each(torch.stack([logits / widest, mixture, slope, slope / root, root.log().expand_as(slope)], -1))
            step, wide = self.all(torch.cat([each, each.mean(-2, keepdim=True).expand_as(each)], -1)).unbind(-1)
            logits = logits + step
        return logits, widest * (NARROWEST + (1 - NARROWEST) * wide.sigmoid())
