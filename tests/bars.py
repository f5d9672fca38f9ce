"""Texts whose topics are known: the bars of Griffiths & Steyvers 2004."""

import torch
from torch import Tensor


def bars(texts: int = 300, words: int = 60) -> tuple[Tensor, Tensor]:
    """Texts over a 5 x 5 grid of words, whose ten topics are its rows and columns (Griffiths & Steyvers 2004), and these topics."""
    grid = torch.arange(25).reshape(5, 5)
    topics = torch.stack([torch.zeros(25).index_fill(0, line, 0.2) for line in [*grid, *grid.T]])
    torch.manual_seed(1)
    mixture = torch.distributions.Dirichlet(torch.full((10,), 0.1)).sample((texts,))
    return torch.distributions.Multinomial(words, mixture @ topics).sample(), topics


def off(found: Tensor, topics: Tensor) -> float:
    """The largest total variation between a true topic and the one found that is nearest."""
    return float(0.5 * torch.cdist(topics, found.to(topics), p=1).amin(1).max())
