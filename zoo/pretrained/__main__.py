"""`make pretrained`: make the posteriors whose recipe is new or changed, or those that are named."""

import sys

import typer

from . import made, make, names, recipes


def _stale(name: str) -> bool:
    try:
        return made(name)["recipe"] != recipes()[name]
    except LookupError:
        return True


def main() -> None:
    """Make them, one line each."""
    for name in sys.argv[1:] or filter(_stale, names()):
        known = make(name)
        typer.echo(f"{name}: {known['seconds']:.0f} s. {known['verdict']}")


if __name__ == "__main__":
    main()
