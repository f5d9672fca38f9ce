"""Where the nodes of a small directed graph go: in layers from top to bottom, each nested group in a block of its own.

A group (a plate) is laid out by itself and then takes part in the layout around it as one large node, so that its box holds
what belongs to it and nothing else. An edge over several layers keeps a lane of its own in each, so that it crosses no node.

Source: Sugiyama, Tagawa & Toda 1981, "Methods for visual understanding of hierarchical system structures", IEEE Transactions
on Systems, Man, and Cybernetics 11.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

Edge = tuple[str, str]
Point = tuple[float, float]

ACROSS, BETWEEN, LANE, MARGIN, CAPTION = 24.0, 38.0, 12.0, 16.0, 16.0
SWEEPS = 8


@dataclass
class Block:
    """A rectangle at (x, y), its top left, and what is in it, each placed in the same coordinates."""

    width: float
    height: float
    x: float = 0.0
    y: float = 0.0
    label: str = ""
    nodes: dict[str, "Block"] = field(default_factory=dict)
    groups: list["Block"] = field(default_factory=list)
    lanes: dict[Edge, list[Point]] = field(default_factory=dict)

    def move(self, dx: float, dy: float) -> None:
        self.x, self.y = self.x + dx, self.y + dy
        for block in [*self.nodes.values(), *self.groups]:
            block.x, block.y = block.x + dx, block.y + dy
        self.lanes = {edge: [(x + dx, y + dy) for x, y in points] for edge, points in self.lanes.items()}


def layout(sizes: Mapping[str, Point], groups: Mapping[str, Sequence[str]], edges: Sequence[Edge]) -> Block:
    """The whole graph as a block.

    Arguments:
        sizes: node -> its width and height. groups: node -> the groups it is in, outermost first. edges: (from, to).

    Returns: `nodes` and `groups` hold all, however deep; `lanes` the points that an edge goes through, besides its ends.
    """
    return _block(list(sizes), 0, sizes, groups, edges)


def _block(names: list[str], depth: int, sizes: Mapping[str, Point], groups: Mapping[str, Sequence[str]], edges: Sequence[Edge]) -> Block:
    members: dict[str, list[str]] = {}
    for name in names:
        # A group may have the name of a node.
        item = f"node {name}" if len(groups[name]) == depth else f"group {groups[name][depth]}"
        members.setdefault(item, []).append(name)
    owner = {name: item for item, inside in members.items() for name in inside}
    blocks = {}
    for item, inside in members.items():
        if item.startswith("group "):
            blocks[item] = _framed(_block(inside, depth + 1, sizes, groups, edges), item.removeprefix("group "))
        else:
            blocks[item] = Block(*sizes[inside[0]])
            blocks[item].nodes = {inside[0]: Block(*sizes[inside[0]])}
    layers, links = _layers(owner, edges)
    return _stack(_ordered(layers, links), blocks)


def _framed(inner: Block, label: str) -> Block:
    inner.move(MARGIN, MARGIN)
    width, height = inner.width + 2 * MARGIN, inner.height + 2 * MARGIN + CAPTION
    frame = Block(width, height, label=label)
    return Block(width, height, nodes=inner.nodes, groups=[frame, *inner.groups], lanes=inner.lanes)


def _layers(owner: Mapping[str, str], edges: Sequence[Edge]) -> tuple[list[list[str | Edge]], list[tuple[str | Edge, str | Edge, int]]]:
    """The items of each layer, with the edges that pass through it; and (above, below, layer of above) what is linked."""
    items = list(dict.fromkeys(owner.values()))
    across = [(a, b) for a, b in edges if (a in owner or b in owner) and owner.get(a) != owner.get(b)]
    rank = dict.fromkeys(items, 0)
    for _ in items:
        for a, b in across:
            if a in owner and b in owner:
                rank[owner[b]] = max(rank[owner[b]], rank[owner[a]] + 1)
    dense = {r: i for i, r in enumerate(sorted(set(rank.values())))}
    layers: list[list[str | Edge]] = [[item for item in items if dense[rank[item]] == i] for i in range(len(dense))]
    links = []
    for a, b in across:
        begin = dense[rank[owner[a]]] if a in owner else -1
        end = dense[rank[owner[b]]] if b in owner else len(layers)
        chain = [owner.get(a), *[(a, b)] * (end - begin - 1), owner.get(b)]
        for layer in range(begin + 1, end):
            layers[layer].append((a, b))
        links += [(u, v, begin + i) for i, (u, v) in enumerate(pairwise(chain)) if u is not None and v is not None]
    return layers, links


def _ordered(layers: list[list[str | Edge]], links: list[tuple[str | Edge, str | Edge, int]]) -> list[list[str | Edge]]:
    """Each layer sorted by where its neighbours stand in the layer above, then below, and so on, so that few edges cross."""
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for i in range(1, len(layers)) if down else range(len(layers) - 2, -1, -1):
            beside = layers[i - 1] if down else layers[i + 1]
            place = {cell: (j + 0.5) / len(beside) for j, cell in enumerate(beside)}
            near: dict[str | Edge, list[float]] = {}
            for above, below, layer in links:
                if layer == (i - 1 if down else i):
                    here, there = (below, above) if down else (above, below)
                    near.setdefault(here, []).append(place[there])
            own = {cell: (j + 0.5) / len(layers[i]) for j, cell in enumerate(layers[i])}
            layers[i].sort(key=lambda cell: sum(near[cell]) / len(near[cell]) if cell in near else own[cell])
    return layers


def _stack(layers: list[list[str | Edge]], blocks: Mapping[str, Block]) -> Block:
    """The layers one below the other, each centred."""
    widths = [[blocks[cell].width if cell in blocks else LANE for cell in layer] for layer in layers]
    rows = [sum(row) + ACROSS * (len(row) - 1) for row in widths]
    whole, y = Block(max(rows), 0.0), 0.0
    for layer, row, taken in zip(layers, widths, rows, strict=True):
        height = max((blocks[cell].height for cell in layer if cell in blocks), default=0.0)
        x = (whole.width - taken) / 2
        for cell, width in zip(layer, row, strict=True):
            if cell in blocks:
                block = blocks[cell]
                block.move(x, y + (height - block.height) / 2)
                whole.nodes |= block.nodes
                whole.groups += block.groups
                for edge, points in block.lanes.items():
                    whole.lanes.setdefault(edge, []).extend(points)
            else:
                whole.lanes.setdefault(cell, []).extend([(x + width / 2, y), (x + width / 2, y + height)])
            x += width + ACROSS
        y += height + BETWEEN
    whole.height = y - BETWEEN
    return whole
