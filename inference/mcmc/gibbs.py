"""Gibbs sampling by sweeps that a pair brings along, where its own mathematics draws better than any gradient."""

from typing import Any, Protocol

import torch
from torch import Tensor

from ..graphs.graph import batched
from ..interrupt import Interrupted, between_steps
from ..memory import at_once
from ..program import Program, Values
from ..progress import Tell


class Sweeps(Protocol):
    """What `Pair.gibbs(x, chains)` gives: chains that each move by themselves. Random numbers follow from torch's."""

    def sweep(self) -> None:
        """One transition of every chain."""

    def values(self) -> Values:
        """A draw of each site that rows share, (chain, *site), given where the chains are."""

    def log_density(self) -> Tensor:
        """(chain,) log density of where the chains are, up to a constant."""


def draw_by_sweeps(program: Program, settings: dict[str, Any], tell: Tell) -> tuple[Values, Values, dict[str, Any]]:
    """Draws (chain, draw, *site) of the sites that rows share and of those derived from them; `lp` (chain, draw); how it went.

    Raises TypeError where the pair has no sweeps.
    """
    pair, chains = program.pair, settings["chains"]
    warmup, draws, thin = (settings[name] for name in ("warmup", "draws", "thin"))
    if pair.gibbs is None:
        raise TypeError(f"{type(pair).__name__} has no Gibbs sampler of its own; use kernel='nuts'")
    sweeps = pair.gibbs(program.x, chains)
    kept: list[tuple[Values, Tensor]] = []
    stopped = f"drew all {draws}"
    try:
        with between_steps() as look:
            for done in range(1, warmup + draws * thin + 1):
                sweeps.sweep()
                if done > warmup and (done - warmup) % thin == 0:
                    kept.append((sweeps.values(), sweeps.log_density()))
                tell(done, "drawing" if done > warmup else "warm-up")
                look()
    except Interrupted:
        if not kept:
            raise
        stopped = f"interrupted after {len(kept)} of {draws} draws"
    values = {name: torch.stack([drawn[name] for drawn, _ in kept], 1) for name in program.parameters}
    derive = batched(program.derive, program.missing, at_once(program.x.numel()))
    derived = derive({n: v.flatten(0, 1) for n, v in values.items()}, program.x)
    values |= {name: value.unflatten(0, (chains, -1)) for name, value in derived.items()}
    return values, {"lp": torch.stack([density for _, density in kept], 1)}, {"restarted": 0, "stopped": stopped}
