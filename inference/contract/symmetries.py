"""Whether what a pair says of its symmetries is so."""

from collections.abc import Iterator

import torch

from ..graphs.graph import batched
from ..run import seeded
from .fault import Fault
from .subject import Subject

DRAWS = 20


def declared_symmetries_change_nothing(subject: Subject) -> Iterator[Fault]:
    """The joint density is the same after any element of each of them, and each moves some site of the model."""
    where = subject.source.attribute("symmetries")
    values = subject.values
    before = subject.program.log_joint(values, subject.x).detach()
    draws = {n: v.detach().expand(1, DRAWS, *v.shape) for n, v in values.items()}
    for symmetry in subject.pair.symmetries:
        told = f"{type(symmetry).__name__}({dict(symmetry.axes)})"
        if not set(symmetry.axes) & set(values):
            yield Fault(f"{told} names no site of the model, which draws {', '.join(values)}", where)
            continue
        with seeded(0, subject.x.device):
            moved = symmetry.apply(draws, symmetry.random(draws))
        if symmetry.size(draws) > 1 and all(torch.equal(moved[n], draws[n]) for n in draws):
            yield Fault(f"{told} moves nothing", where)
        density = batched(lambda v: subject.program.log_joint(v, subject.x), subject.program.missing)
        after = density({n: v[0] for n, v in moved.items()})
        if not torch.allclose(after, before.expand(DRAWS), rtol=1e-10, atol=1e-9):
            worst = after[(after - before).abs().argmax()]
            says = f"{told} is no symmetry: it takes the log joint density from {before:.6g} to {worst:.6g}"
            yield Fault(f"{says}; name every site that is indexed so, and see that the prior is the same for all", where)
