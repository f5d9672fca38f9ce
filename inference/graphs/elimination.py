"""Summing out discrete latents exactly, in log space.

Pyro enumerates a discrete site along a dimension of its own, to the left of the plates. Here each such dimension is removed by
adding the factors that depend on it and taking logsumexp, from the innermost plate outwards; what is left is a number a row.
Pyro's own contraction exponentiates each factor by itself, which underflows where a likely component has a tiny weight.
"""

from collections.abc import Collection
from typing import Any

from pyro.poutine import Trace
from pyro.poutine.indep_messenger import CondIndepStackFrame
from pyro.poutine.subsample_messenger import _Subsample
from torch import Tensor

Plates = frozenset[CondIndepStackFrame]


def is_sample(site: dict[str, Any]) -> bool:
    """Whether a node of a trace is a sample statement, and not the plate's own."""
    return site["type"] == "sample" and not isinstance(site["fn"], _Subsample)


def local(site: dict[str, Any]) -> bool:
    """Whether a site belongs to a row."""
    return any(frame.name == "data" for frame in site["cond_indep_stack"])


def row_terms(trace: Trace, fraction: float, potentials: dict[str, Tensor] | None = None, only: Collection[str] | None = None) -> Tensor:
    """(rows,) the log density of what belongs to each row in an enumerated trace, its discrete sites summed out.

    fraction: the share of all rows that are at hand, by which Pyro's plate has scaled each term up.
    potentials: what to add to the log probability of the sites named. only: the names of the sites to count, of those there are.
    """
    terms: dict[Plates, list[Tensor]] = {}
    summed: dict[Plates, list[int]] = {}
    for site in trace.nodes.values():
        if not is_sample(site) or not local(site) or site["infer"].get("_deterministic"):
            continue
        if only is not None and site["name"] not in only:
            continue
        plates = frozenset(f for f in site["cond_indep_stack"] if f.vectorized)
        term = site["log_prob"] if fraction == 1 else site["log_prob"] * fraction
        if potentials and site["name"] in potentials:
            term = term + potentials[site["name"]]
        terms.setdefault(plates, []).append(term)
        if "_enumerate_dim" in site["infer"] and not site["is_observed"]:
            summed.setdefault(plates, []).append(site["infer"]["_enumerate_dim"])
    data = next(f for plates in terms for f in plates if f.name == "data")
    rows = frozenset({data})
    terms.setdefault(rows, [])
    for plates in sorted(terms, key=len, reverse=True):
        left = _eliminate(terms[plates], summed.get(plates, []))
        if plates == rows:
            return sum(left).reshape(-1).expand(data.size)
        outer = max((p for p in terms if p < plates and data in p), key=len)
        terms[outer] += [_multiply(term, plates - outer) for term in left]
    raise AssertionError("the plate 'data' is always reached")


def _eliminate(terms: list[Tensor], dims: list[int]) -> list[Tensor]:
    for dim in dims:
        involved = [t for t in terms if t.dim() >= -dim and t.shape[dim] > 1]
        if involved:
            terms = [t for t in terms if not any(t is i for i in involved)] + [sum(involved).logsumexp(dim, keepdim=True)]
    return terms


def _multiply(term: Tensor, plates: Plates) -> Tensor:
    """The product over plates that end here; a term that is the same for every member counts once for each."""
    for frame in plates:
        varies = term.dim() >= -frame.dim and term.shape[frame.dim] > 1
        term = term.sum(frame.dim, keepdim=True) if varies else term * frame.size
    return term
