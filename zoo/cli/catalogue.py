"""What there is: `zoo list` and `zoo show`."""

from typing import Annotated

import typer

from .app import Json, Traceback, app, beginning, echo_json, pair_names, told


@app.command("list")
@told
def list_pairs(
    pretrained: Annotated[bool, typer.Option("--pretrained", help="The posteriors that come with the zoo.")] = False, as_json: Json = False
) -> None:
    """Pairs and data sets by name, or the pretrained posteriors."""
    from .. import data, registry
    from .. import pretrained as shipped

    rows = {name: shipped.summary(name) for name in shipped.names()} if pretrained else {n: registry.summary(n) for n in registry.names()}
    if as_json:
        echo_json({"pretrained": rows} if pretrained else {"pairs": rows, "data": data.names()})
        return
    for name, text in rows.items():
        typer.echo(f"{name:<{max(map(len, rows))}}  {text}")
    if not pretrained:
        typer.echo("\ndata: " + ", ".join(data.names()))


@app.command()
@told
def show(
    name: Annotated[str, typer.Argument(help="A pair, as `zoo list` names it.", autocompletion=beginning(pair_names))],
    as_json: Json = False,
    traceback: Traceback = False,
) -> None:
    """A pair's card: its story, graph, hyperparameters, limits and costs. How to use it, too, and what its calibration says."""
    from .. import cards

    if as_json:
        echo_json(cards.facts(name))
    else:
        typer.echo(cards.card(name))
