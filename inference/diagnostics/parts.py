"""Parts that may be numbered in any order (components, states, topics): which of one posterior is which of another, and whether all of
them are of use."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
import torch
from scipy.optimize import linear_sum_assignment
from scipy.sparse.csgraph import connected_components

from ..answers.latent import conditionals
from ..answers.predictive import averaged, program_for
from ..run import at_least, seeded
from ..symmetry import NestedPermutation, Permutation, SignedPermutation
from ..symmetry.permutation import assigned
from .findings import Finding

if TYPE_CHECKING:
    from ..posterior import Posterior

# Total variation below which two distributions are called alike, and standard deviations below which other numbers are.
ALIKE, WITHIN = 0.1, 2.0
# A part is used that has this much of an even share of the rows, or of any one row; asked of so many rows.
SHARE, OF_ONE, ROWS = 0.25, 0.5, 2000
NAMED = 6
ADVICE = "They have collapsed into one, or there are too many: compare with fewer, or restart from elsewhere."


class Parts(NamedTuple):
    """What a pair declares of its parts. name: what one is called, "topic"; symmetry: what numbers them."""

    name: str
    symmetry: Permutation


def declared(posterior: "Posterior") -> Parts | None:
    """The parts of the first permutation that a pair declares and whose sites have draws; None without. Where parts have members that
    may be numbered in any order too, they are the groups."""
    for symmetry in posterior.pair.symmetries:
        if isinstance(symmetry, Permutation) and (axes := symmetry.telling(posterior.draws)):
            site, (axis, *_) = next(iter(axes.items()))
            names = posterior.pair.dims.get(site, ())
            return Parts(names[axis] if axis < len(names) else "part", symmetry)
    return None


def matched(posterior: "Posterior", other: "Posterior", *, n: int = 10) -> pd.DataFrame:
    """Which part (topic, component, state) of `other` is which of `posterior`, one to one, so that they are nearest on the whole.

    The two are of one pair, and may differ in method, rows and number of parts; parts left over have no match. Where parts are
    distributions, as topics are, near is in total variation; otherwise in the root mean square of what means differ by, in units of
    what differs between the parts of one posterior, so that parts that have nothing in common are about 1.4 apart. Signs count for
    nothing where the pair says that they may flip, and so does the order of a part's own members, such as the components of a state.

    Returns a row a part, in the order of `posterior`: `match`, its number in `other`; `apart`, how far they are; and for distributions
    `overlap`, the share of the `n` likeliest entries (words) that they have in common.

    Raises ValueError for posteriors of different pairs or sizes, TypeError for a pair without parts that may be numbered in any order.
    """
    at_least(1, n=n)
    if type(posterior.pair) is not type(other.pair):
        raise ValueError(f"{posterior.name} and {other.name} are of different pairs, whose parts cannot be matched")
    parts = declared(posterior)
    if parts is None:
        name = type(posterior.pair).__name__
        raise TypeError(f"{name} has no parts that may be numbered in any order")
    symmetries = parts.symmetry, declared(other).symmetry
    here, there = (_means(p, symmetry) for p, symmetry in zip((posterior, other), symmetries, strict=True))
    for name in here:
        if name not in there or here[name].shape[1:] != there[name].shape[1:]:
            raise ValueError(f"{name!r} of {posterior.name} and of {other.name} differ in size: were they fitted to the same columns?")
    signs = (1, -1) if isinstance(parts.symmetry, SignedPermutation) else (1,)
    apart = np.min([_between({name: sign * values for name, values in here.items()}, there) for sign in signs], 0)
    rows, columns = linear_sum_assignment(apart)
    index = pd.RangeIndex(len(apart), name=parts.name)
    table = pd.DataFrame({"match": pd.Series(columns, rows, "Int64"), "apart": pd.Series(apart[rows, columns], rows)}).reindex(index)
    told = next((name for name in here if here[name].shape[1] == 1 and _distributions(here[name][:, 0])), None)
    if told is not None:
        table["overlap"] = pd.Series(_overlap(here[told][rows, 0], there[told][columns, 0], n), rows)
    return table


def _means(posterior: "Posterior", symmetry: Permutation) -> dict[str, np.ndarray]:
    """Site -> (part, member, feature) over aligned draws, for the sites that tell parts apart."""
    return {name: values.mean((0, 1)).cpu().numpy() for name, values in symmetry.of_parts(posterior.aligned).items()}


def _between(here: Mapping[str, np.ndarray], there: Mapping[str, np.ndarray]) -> np.ndarray:
    """(part, other part) how far parts are from each other on average over sites (part, member, feature); members are taken in the order
    in which they are nearest."""
    each = {name: _apart(here[name].reshape(-1, here[name].shape[2]), there[name].reshape(-1, there[name].shape[2])) for name in here}
    whole = [each[name] for name in here if here[name].shape[1] == 1]
    within = [name for name in here if here[name].shape[1] > 1]
    if within:
        count = here[within[0]].shape[1]
        cost = np.mean([each[name] for name in within], 0)
        cost = torch.as_tensor(cost.reshape(len(cost) // count, count, -1, count)).transpose(1, 2).contiguous()
        nearest = cost.take_along_dim(assigned(cost)[..., None], -1)[..., 0].mean(-1).numpy()
        whole += [nearest] * len(within)
    return np.mean(whole, 0)


def _distributions(values: np.ndarray) -> bool:
    """Whether each row is a distribution over several things."""
    return values.shape[1] > 1 and bool((values >= 0).all()) and np.allclose(values.sum(1), 1, atol=1e-3)


def _apart(here: np.ndarray, there: np.ndarray) -> np.ndarray:
    """(part, other part) how far parts (part, feature) are from each other."""
    gaps = here[:, None] - there
    if _distributions(here) and _distributions(there):
        return 0.5 * np.abs(gaps).sum(-1)
    scale = np.sqrt((here.var(0) + there.var(0)) / 2)
    return np.sqrt(np.square(gaps / np.where(scale > 0, scale, 1.0)).mean(-1))


def _overlap(here: np.ndarray, there: np.ndarray, n: int) -> list[float]:
    """The share of the `n` largest entries that both of each pair of rows have."""
    n = min(n, here.shape[1])
    first = (np.argsort(-values, 1, kind="stable")[:, :n] for values in (here, there))
    return [len(set(a) & set(b)) / n for a, b in zip(*first, strict=True)]


def parts(posterior: "Posterior") -> Iterator[Finding]:
    """Whether rows use all parts, and whether those that are used differ; nothing for a pair without parts, or where signs flip."""
    found = declared(posterior)
    if found is None or isinstance(found.symmetry, SignedPermutation) or found.symmetry.parts(posterior.draws) < 2:
        return
    if isinstance(found.symmetry, NestedPermutation) and not _latents(posterior, found):
        return  # groups that add up, of which two may do the same
    if not all(values.isfinite().all() for values in posterior.draws.values()):
        return  # said of the draws
    called, total = f"{found.name}s", found.symmetry.parts(posterior.draws)
    used = _used(posterior, found)
    if used is not None:
        text = f"{int(used.sum())} of {total} {called} are used by the rows"
        if used.all():
            yield Finding(called, "good", text + ".")
        else:
            yield Finding(called, "note", f"{text}; not {_listed(np.flatnonzero(~used))}.", "As many would do.")
    groups = _alike(posterior, found.symmetry, np.ones(total, bool) if used is None else used)
    if groups:
        text = "; ".join(_listed(group) for group in groups[:NAMED]) + ("; and more" if len(groups) > NAMED else "")
        yield Finding(called, "warning", f"{len(groups)} group{'s' * (len(groups) > 1)} of them alike: {text}.", ADVICE)


def _latents(posterior: "Posterior", parts: Parts) -> list[str]:
    """The latents of a row that count its parts."""
    return [site for site, axes in posterior.pair.dims.items() if site not in posterior.draws and axes[-1:] == (parts.name,)]


def _used(posterior: "Posterior", parts: Parts) -> np.ndarray | None:
    """(part,) whether rows use it; None where nothing is known of rows' shares of parts."""
    names = _latents(posterior, parts)
    if posterior.table is None or not names:
        return None
    table = posterior.table.some(np.linspace(0, len(posterior.table) - 1, min(ROWS, len(posterior.table))).round().astype(int))
    # At the means: what a draw from the prior makes of a part without rows may suit one of them.
    means = {name: values.double().mean((0, 1), keepdim=True).to(values.dtype) for name, values in posterior.aligned.items()}
    some = replace(posterior.keep([0]).thinned(posterior.shape[1]), draws=means)
    program, _ = program_for(some, table)
    with seeded(0, posterior.device):
        latents = averaged(some, program, partial(conditionals, program), some.draws)
    name = next((name for name in names if name in latents), None)
    if name is None:
        return None
    shares = latents[name][0].double().cpu().numpy()
    shares = shares.reshape(-1, shares.shape[-1])
    shares = shares[np.isfinite(shares).all(1)]
    if not len(shares) or not _distributions(shares):
        return None
    return (shares.mean(0) > SHARE / shares.shape[1]) | (shares.max(0) > OF_ONE)


def _alike(posterior: "Posterior", symmetry: Permutation, which: np.ndarray) -> list[np.ndarray]:
    """Groups of those parts that no site tells apart."""
    same = np.outer(which, which)
    for values in symmetry.of_parts(posterior.aligned).values():
        values = values.flatten(3)
        mean, variance = (moment.cpu().numpy() for moment in (values.mean((0, 1)), values.var((0, 1), correction=0)))
        gaps = np.abs(mean[:, None] - mean)
        if _distributions(mean):
            same &= 0.5 * gaps.sum(-1) < ALIKE
        else:
            same &= (gaps < WITHIN * np.sqrt(variance[:, None] + variance) + 1e-12).all(-1)
    count, labels = connected_components(same, directed=False)
    return [members for label in range(count) if len(members := np.flatnonzero(labels == label)) > 1]


def _listed(numbers: np.ndarray) -> str:
    """Numbers in words, no more than can be read."""
    shown = [str(number) for number in numbers[:NAMED]] + ["..."] * (len(numbers) > NAMED)
    return ", ".join(shown[:-1]) + f" and {shown[-1]}" if len(shown) > 1 else shown[0]
