"""A generative graph as SVG, in the colour of the text around it, so that it suits a light page and a dark one."""

from itertools import pairwise
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

from .layout import MARGIN, Block, Point, layout

if TYPE_CHECKING:
    from .graph import GenerativeGraph, Node

LETTER, SMALL, HEIGHT, ROUND = 7.6, 6.0, 42.0, 21.0
PAD = 4.0

HEAD = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}" \
role="img" aria-label={label} font-family="system-ui, sans-serif" text-anchor="middle" fill="currentColor" stroke="none">
<defs><marker id="zoo-arrow" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="7" markerHeight="7" orient="auto">\
<path d="M0 0.8 L8 4 L0 7.2 z" fill="currentColor"/></marker></defs>"""


def draw(graph: "GenerativeGraph") -> str:
    """The SVG element. Each site's name is written once."""
    sizes = {node.name: (_width(node), HEIGHT) for node in graph.nodes}
    edges = [(parent, node.name) for node in graph.nodes for parent in node.parents]
    whole = layout(sizes, {node.name: node.plates for node in graph.nodes}, edges)
    whole.move(PAD, PAD)
    label = quoteattr(f"The generative graph of {graph.model}: {len(graph.nodes)} sites, {len(edges)} dependences")
    parts = [HEAD.format(width=whole.width + 2 * PAD, height=whole.height + 2 * PAD, label=label)]
    parts += [_plate(box) for box in whole.groups]
    parts += [_edge(whole.nodes[a], whole.nodes[b], whole.lanes.get((a, b), [])) for a, b in edges]
    parts += [_node(node, whole.nodes[node.name]) for node in graph.nodes]
    return "\n".join([*parts, "</svg>"])


def _below(node: "Node") -> str:
    """What is written below a site's name."""
    return {"derived": "derived", "summed out": f"{node.distribution}, summed out"}.get(node.kind, node.distribution)


def _width(node: "Node") -> float:
    return max(LETTER * len(node.name), SMALL * len(_below(node))) + 30


def _node(node: "Node", box: Block) -> str:
    line = {"derived": ' stroke-dasharray="4 3"', "summed out": ' stroke-dasharray="1 3" stroke-linecap="round"'}.get(node.kind, "")
    shade = 0.22 if node.kind == "observed" else 0.0
    middle = box.x + box.width / 2
    return (
        f'<g class="{node.kind.replace(" ", "-")}">'
        f'<rect x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" rx="{ROUND}" '
        f'fill-opacity="{shade}" stroke="currentColor" stroke-width="1.3"{line}/>'
        f'<text x="{middle:.1f}" y="{box.y + 18.5:.1f}" font-size="14">{escape(node.name)}</text>'
        f'<text x="{middle:.1f}" y="{box.y + 32.5:.1f}" font-size="10.5" opacity="0.75">{escape(_below(node))}</text></g>'
    )


def _plate(box: Block) -> str:
    return (
        f'<g class="plate"><rect x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" rx="6" '
        f'fill-opacity="0.03" stroke="currentColor" stroke-opacity="0.45"/>'
        f'<text x="{box.x + box.width - MARGIN / 2:.1f}" y="{box.y + box.height - 7:.1f}" font-size="11.5" text-anchor="end" '
        f'opacity="0.75">{escape(box.label)}</text></g>'
    )


def _edge(begin: Block, end: Block, lanes: list[Point]) -> str:
    """From the bottom of one box to the top of the other, through the lanes, leaving and arriving upright."""
    points = [(begin.x + begin.width / 2, begin.y + begin.height), *sorted(lanes, key=lambda p: p[1]), (end.x + end.width / 2, end.y - 1)]
    path = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for (x1, y1), (x2, y2) in pairwise(points):
        half = (y1 + y2) / 2
        path += f" C{x1:.1f} {half:.1f} {x2:.1f} {half:.1f} {x2:.1f} {y2:.1f}"
    return f'<path d="{path}" fill="none" stroke="currentColor" stroke-opacity="0.7" stroke-width="1.2" marker-end="url(#zoo-arrow)"/>'
