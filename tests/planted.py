"""Guides of a posterior in closed form, planted too narrow or too wide."""

from inference import Finding, Posterior, diagnose
from tests.conjugate import Location, by_guide, location, rows, scaled

PAIR = Location()


def planted(by: float, draws: int = 4000, seed: int = 0) -> Posterior:
    """A fit whose guide is the exact posterior, but `by` times as wide."""
    x = rows()
    return by_guide(PAIR, x, scaled(location(PAIR, x), by), draws, seed)


def named(posterior: Posterior, name: str, against: Posterior | None = None) -> Finding:
    found = [f for f in diagnose(posterior, against=against).findings if f.name == name]
    assert len(found) == 1
    return found[0]
