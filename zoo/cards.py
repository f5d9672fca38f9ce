"""Cards: what a pair is and how it was found to behave, built from its code and from recorded measurements."""

import json
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from . import pretrained, registry

if TYPE_CHECKING:
    from inference import Pair
    from inference.diagnostics.graph import GenerativeGraph, Node

USE = """```python
import inference, zoo

pair = zoo.create("{name}", x)
posterior = inference.{method}(pair, x)
print(inference.diagnose(posterior))
```"""
SHAPES = {"observed": "[/{}/]", "latent": "(({}))", "summed out": "(({}))", "derived": "[{}]"}


def card(name: str) -> str:
    """The card of the pair `name`, as Markdown: story, graph, hyperparameters, use, limits, what was measured. Raises LookupError."""
    known = facts(name)
    rows = [f"| `{n}` | `{default}` | {meaning} |" for n, default, meaning in known["hyperparameters"]]
    parts = [f"# {name}", known["story"]]
    parts += ["## Graph", f"```mermaid\n{known['graph']}\n```"] if known["graph"] else []
    parts += ["## Hyperparameters", "\n".join(["| hyperparameter | default | meaning |", "|---|---|---|", *rows])]
    parts += ["## Use", USE.format(name=name, method="svi" if "mcmc" in known["unsuited"] else "mcmc")]
    parts += [f"Not suited to {use}: {reason}." for use, reason in known["unsuited"].items()]
    parts += (
        ["Symmetries, which are undone before draws are compared: " + "; ".join(known["symmetries"]) + "."] if known["symmetries"] else []
    )
    parts += ["## Known limits", known["limits"]] if known["limits"] else []
    parts += ["## Measured", *_measured(known["measured"])] if known["measured"] else []
    parts += ["## Pretrained", "\n".join(map(_shipped, known["pretrained"]))] if known["pretrained"] else []
    return "\n\n".join(parts) + "\n"


def facts(name: str) -> dict[str, Any]:
    """What the card of the pair `name` says, in plain values. Raises LookupError."""
    from inference.docstring import limits, story

    cls = registry.find(name)
    example = _example(cls)
    return {
        "name": name,
        "story": story(cls),
        "limits": limits(cls),
        "graph": example and _mermaid(example[1]),
        "hyperparameters": hyperparameters(cls),
        "unsuited": dict(cls.unsuited),
        "symmetries": [f"{type(s).__name__} of {', '.join(s.axes)}" for s in example[0].symmetries] if example else [],
        "measured": measured(name),
        "pretrained": [{"name": n, **_known(n)} for n in pretrained.names() if n.startswith(f"{name}/")],
    }


def hyperparameters(cls: type["Pair"]) -> list[tuple[str, Any, str]]:
    """Each hyperparameter's name, default and meaning, the last from "Arguments:" in the class's docstring ("" if not there)."""
    from inference.docstring import meanings
    from inference.pair import parameters

    told = meanings(cls)
    return [(n, "required" if p.default is p.empty else repr(p.default), told.get(n, "")) for n, p in parameters(cls).items()]


def measured(name: str) -> dict[str, Any]:
    """What `make cards` recorded of a pair; nothing, if it did not."""
    path = files("zoo").joinpath("measured", f"{name}.json")
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _known(name: str) -> dict[str, Any]:
    try:
        return pretrained.made(name)
    except LookupError:
        return {}


def _measured(known: dict[str, Any]) -> list[str]:
    calibration, off = known["calibration"], known["log_joint_off"]
    lines = [
        f"Its oracle, slow code by hand ({known['oracle']}), has the same log joint density in {known['cases']} cases, to {off:.0e} of it."
    ]
    if calibration:
        lines.append(
            f"Simulation-based calibration, {calibration['title']}: {calibration['verdict']} {' '.join(calibration['doubts'])}".strip()
        )
    return [*lines, _costs(known["costs"])] if "costs" in known else lines


def _costs(known: dict[str, Any]) -> str:
    more, given = known["more"], "".join(f", {key}={value}" for key, value in known["sizes"].items())
    step, memory = f"{_seconds(known['step'])} a step of all rows", f"{known['memory']:.0f} MB beyond the rows"
    inferred = f", by which {known['inferred']} numbers are inferred" if known["inferred"] else ""
    lines = [
        f"Costs of `{known['data']}` ({known['rows']} rows{given}), in CPU seconds of one core, uncompiled:",
        f"a fit has {known['parameters']} parameters{inferred};",
        f"it begins after {_seconds(known['begin'])}, and takes {step}, and {memory};",
        f"of {more['times']} times the rows {_seconds(more['step'])} a step, and {more['memory']:.0f} MB.",
    ]
    if known["gradient"] is not None:
        lines.append(f"By `mcmc` a gradient of all of {known['chains']} chains takes {_seconds(known['gradient'])}.")
    return " ".join(lines)


def _seconds(value: float) -> str:
    unit, name = (1.0, "s") if value >= 1 else (1e3, "ms") if value >= 1e-3 else (1e6, "microseconds")
    return f"{value * unit:.3g} {name}"


def _shipped(known: dict[str, Any]) -> str:
    if "recipe" not in known:
        return f"- `{known['name']}`: not made yet."
    recipe = known["recipe"]
    given = ", ".join(f"{key}={value}" for key, value in recipe.get("hyperparameters", {}).items())
    fitted = f"{recipe['method']} of {known['rows']} rows ({given}), {known['seconds']:.0f} s on one core"
    density = "" if known["score"] is None else f"; log density of a row {known['score']:.2f}"
    return f'- `zoo.load_pretrained("{known["name"]}")`: {fitted}{density}. {known["verdict"]}'


def _example(cls: type["Pair"]) -> "tuple[Pair, GenerativeGraph] | None":
    """A pair as it is by default, and its graph; None where it needs more than defaults, or rows from outside."""
    from .strangers import drawn

    try:
        pair = cls()
        return pair, pair.graph(drawn(pair).x)
    except (TypeError, ValueError):
        return None


def _mermaid(graph: "GenerativeGraph") -> str:
    """The graph as a drawing in text: circles are drawn or summed out, boxes derived, what is observed slants."""
    inside = [node for node in graph.nodes if node.plates]
    lines = ["graph TD", *(f"  {_node(node)}" for node in graph.nodes if not node.plates)]
    for plate in dict.fromkeys(node.plates for node in inside):
        lines += [f'  subgraph {"_".join(plate)}["{", ".join(plate)}"]']
        lines += [*(f"    {_node(node)}" for node in inside if node.plates == plate), "  end"]
    return "\n".join(lines + [f"  {parent} --> {node.name}" for node in graph.nodes for parent in sorted(node.parents)])


def _node(node: "Node") -> str:
    law = f"<br>{node.distribution}" if node.distribution else ""
    said = ", summed out" if node.kind == "summed out" else ""
    return node.name + SHAPES[node.kind].format(f'"{node.name}{law}{said}"')
