"""The generative graph of a model, whose sites and dependences are known, and its drawing."""

from xml.etree import ElementTree

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

import zoo
from inference import Pair
from inference.diagnostics.graph import GenerativeGraph
from inference.diagnostics.layout import layout

from .posteriors import chains

SVG = "{http://www.w3.org/2000/svg}"


class Topics(Pair):
    """Words in documents: a plate of topics, and a plate of words inside that of documents.

    | symbol | distribution            | shape  | meaning                         |
    |--------|-------------------------|--------|---------------------------------|
    | hyper  | Gamma(2, 1)             | ()     |                                 |
    | spread | Gamma(2, 1)             | ()     |                                 |
    | topic  | Normal(0, hyper)        | (3, 1) | in the plate topics             |
    | double | derived                 | (3, 1) | twice the topic                 |
    | share  | Dirichlet(1, 1, 1)      | (N, 3) | of a document; here drawn       |
    | z      | Categorical(1, 1, 1)    | (4, N) | of a word; summed out           |
    | w      | Normal(double[z], spread) | (4, N) | a word                        |
    """

    def __init__(self) -> None:
        pass

    def model(self, x: Tensor, size: int | None = None) -> None:
        hyper = pyro.sample("hyper", dist.Gamma(x.new_tensor(2.0), 1.0))
        spread = pyro.sample("spread", dist.Gamma(x.new_tensor(2.0), 1.0))
        with pyro.plate("topics", 3, dim=-2):
            topic = pyro.sample("topic", dist.Normal(0.0, hyper))
            double = pyro.deterministic("double", 2 * topic)
        with self.rows(x, size):
            share = pyro.sample("share", dist.Dirichlet(x.new_ones(3)))
            with pyro.plate("words", 4, dim=-2):
                z = pyro.sample("z", dist.Categorical(share))
                pyro.sample("w", dist.Normal(double[z, 0], spread), obs=x.T)

    def guide(self, x: Tensor, size: int | None = None) -> None:
        pyro.sample("hyper", dist.Gamma(x.new_tensor(2.0), 1.0))


def graphs() -> dict[str, GenerativeGraph]:
    x = zoo.data.load("faithful").x
    return {"gmm": zoo.create("gmm", x).graph(x), "topics": Topics().graph(torch.randn(5, 4))}


def test_the_graph_of_a_mixture_is_known():
    graph = graphs()["gmm"]
    shape = "precision_trils"
    between = {(shape, "locs"), (shape, "scales"), (shape, "correlations"), ("weights", "z"), ("z", "x"), ("locs", "x"), (shape, "x")}
    assert graph.edges == between
    kinds = {node.name: node.kind for node in graph.nodes}
    assert kinds == {
        "weights": "latent",
        shape: "latent",
        "locs": "latent",
        "scales": "derived",
        "correlations": "derived",
        "z": "summed out",
        "x": "observed",
    }
    assert {node.name: node.distribution for node in graph.nodes}["weights"] == "Dirichlet"
    assert {node.name: node.plates for node in graph.nodes if node.plates} == {"z": ("data",), "x": ("data",)}


def test_nested_plates_are_known():
    graph = graphs()["topics"]
    assert graph.edges == {("hyper", "topic"), ("topic", "double"), ("double", "w"), ("share", "z"), ("z", "w"), ("spread", "w")}
    plates = {node.name: node.plates for node in graph.nodes}
    inner = ("data", "words")
    assert plates == {
        "hyper": (),
        "spread": (),
        "topic": ("topics",),
        "double": ("topics",),
        "share": ("data",),
        "z": inner,
        "w": inner,
    }
    assert graph.nodes[-1].kind == "observed"


@pytest.mark.parametrize("name", ["gmm", "topics"])
def test_the_drawing_holds_every_name_once_and_every_edge(name):
    graph = graphs()[name]
    root = ElementTree.fromstring(graph.svg)
    assert root.tag == f"{SVG}svg"
    texts = [text.text for text in root.iter(f"{SVG}text")]
    for node in graph.nodes:
        assert texts.count(node.name) == 1
    for plate in {plate for node in graph.nodes for plate in node.plates}:
        assert texts.count(plate) == 1
    assert sum("marker-end" in path.attrib for path in root.iter(f"{SVG}path")) == len(graph.edges)
    assert graph._repr_svg_() == graph.svg


@pytest.mark.parametrize("name", ["gmm", "topics"])
def test_plates_hold_their_sites_and_no_others_and_nothing_overlaps(name):
    graph = graphs()[name]
    groups = {node.name: node.plates for node in graph.nodes}
    whole = layout(dict.fromkeys(groups, (60.0, 40.0)), groups, sorted(graph.edges))
    assert set(whole.nodes) == set(groups)
    for plate in whole.groups:
        for site, box in whole.nodes.items():
            assert _inside(box, plate) == (plate.label in groups[site])
            assert _inside(box, plate) or _apart(box, plate)
    boxes = list(whole.nodes.values())
    assert all(_apart(a, b) for i, a in enumerate(boxes) for b in boxes[:i])
    for a, b in graph.edges:
        assert whole.nodes[a].y + whole.nodes[a].height < whole.nodes[b].y


def _inside(a: object, b: object) -> bool:
    return b.x < a.x and a.x + a.width < b.x + b.width and b.y < a.y and a.y + a.height < b.y + b.height


def _apart(a: object, b: object) -> bool:
    return a.x + a.width <= b.x or b.x + b.width <= a.x or a.y + a.height <= b.y or b.y + b.height <= a.y


def test_an_edge_over_a_layer_crosses_no_node():
    sizes = dict.fromkeys("abcd", (60.0, 40.0))
    whole = layout(sizes, dict.fromkeys("abcd", ()), [("a", "b"), ("b", "c"), ("a", "c"), ("c", "d"), ("a", "d")])
    assert set(whole.lanes) == {("a", "c"), ("a", "d")}
    for points in whole.lanes.values():
        for x, y in points:
            assert not any(box.x <= x <= box.x + box.width and box.y < y < box.y + box.height for box in whole.nodes.values())


def test_names_are_not_taken_for_markup():
    class Odd(Topics):
        def model(self, x: Tensor, size: int | None = None) -> None:
            with self.rows(x, size):
                pyro.sample("<b>&", dist.Normal(0.0, 1.0), obs=x[:, 0])

    assert "<b>&" in [text.text for text in ElementTree.fromstring(Odd().graph([[1.0]]).svg).iter(f"{SVG}text")]


def test_a_posterior_has_its_pairs_graph():
    posterior = chains(draws=5)
    assert posterior.graph().edges == graphs()["gmm"].edges
