"""The generative graph of a pair's model: its sites, which depends on which, and the plates they stand in."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import pyro
from pyro.infer.inspect import get_model_relations
from torch import Tensor

from ..pair import Pair
from ..program import Program
from . import svg

ROWS = 2


@dataclass(frozen=True)
class Node:
    """A site. distribution: its name ("" for a derived site). parents: the sites it depends on. plates: outermost first."""

    name: str
    kind: Literal["latent", "summed out", "derived", "observed"]
    distribution: str
    parents: tuple[str, ...]
    plates: tuple[str, ...]


@dataclass(frozen=True)
class GenerativeGraph:
    """What a model draws, in its order. A notebook shows it; `svg` is the drawing."""

    model: str
    nodes: tuple[Node, ...]

    @property
    def edges(self) -> set[tuple[str, str]]:
        """(parent, child), for every direct dependence."""
        return {(parent, node.name) for node in self.nodes for parent in node.parents}

    @cached_property
    def svg(self) -> str:
        """The drawing: a site to a box, what is observed shaded, what is derived dashed, plates around what they repeat."""
        return svg.draw(self)

    def _repr_svg_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return "\n".join(f"{', '.join(node.parents)} -> {node.name}" if node.parents else node.name for node in self.nodes)


def generative_graph(pair: Pair, x: Tensor) -> GenerativeGraph:
    """The graph of `pair.model` on the rows `x`, of which the first two are enough.

    What depends on what is read off the program as it runs: Pyro marks each site's value, and sees which marks reach a density.

    Raises: ValueError where the model does not run on `x`.
    """
    program = Program(pair, x[:ROWS])
    with pyro.settings.context(module_local_params=True):
        seen = get_model_relations(pair.model, (program.x,), include_deterministic=True)
    plates = _outermost_first(seen["plate_sample"])
    nodes = []
    for name, parents in seen["sample_sample"].items():
        kind = _kind(program, name, name in seen["observed"])
        distribution = "" if kind == "derived" else seen["sample_dist"][name]
        nodes.append(Node(name, kind, distribution, tuple(parents), tuple(p for p in plates if name in seen["plate_sample"][p])))
    return GenerativeGraph(type(pair).__name__, tuple(nodes))


def _kind(program: Program, name: str, observed: bool) -> Literal["latent", "summed out", "derived", "observed"]:
    if name in program.derived:
        return "derived"
    if observed:
        return "observed"
    return "summed out" if program.sites[name].discrete else "latent"


def _outermost_first(members: dict[str, list[str]]) -> list[str]:
    """A plate that holds another's sites and more is around it; of two with the same sites, the first that was entered."""
    return sorted(members, key=lambda plate: -len(members[plate]))
