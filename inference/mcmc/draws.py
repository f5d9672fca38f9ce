"""The draws of a run as they come in, and what is saved of them so that a run cut off can go on."""

import os

import torch
from torch import Tensor

from ..saving.checkpoint import Checkpoint
from .sampler import Sampler


class Draws:
    """Positions (draw, chain, dim) and statistics (draw, chain) of all draws asked for, of which `count` are there."""

    def __init__(self, sampler: Sampler, draws: int, thin: int, checkpoint: Checkpoint | None) -> None:
        self._sampler, self._draws, self._thin, self._checkpoint = sampler, draws, thin, checkpoint
        self.count = self._saved = 0
        self._arrays: dict[str, Tensor] = {}

    def add(self, positions: Tensor, stats: dict[str, Tensor]) -> None:
        """Take in transitions (transition, chain, ...), of which every so many-th is kept."""
        for name, new in {"position": positions, **stats}.items():
            self._put(name, self.count, new[self._thin - 1 :: self._thin])
        self.count += len(positions) // self._thin

    @property
    def positions(self) -> Tensor:
        """(chain, draw, dim) unconstrained."""
        return self._arrays["position"][: self.count].transpose(0, 1)

    @property
    def stats(self) -> dict[str, Tensor]:
        """Each (chain, draw)."""
        return {n: a[: self.count].transpose(0, 1) for n, a in self._arrays.items() if n != "position"}

    def save(self, now: bool = False) -> None:
        """Save to the checkpoint, if there is one and it is time (or `now`)."""
        if self._checkpoint is None or not (now or self._checkpoint.due):
            return
        tensors, record = self._sampler.export()
        blocks = {f"draws.{n}": a[self._saved : self.count] for n, a in self._arrays.items()}
        self._checkpoint.save(tensors, record, blocks if self.count > self._saved else None)
        self._saved = self.count

    def resume(self) -> bool:
        """Go on from the checkpoint, if it holds anything; whether it did."""
        found = self._checkpoint and self._checkpoint.load()
        if not found:
            return False
        tensors, record = found
        arrays = {name.removeprefix("draws."): tensors.pop(name) for name in list(tensors) if name.startswith("draws.")}
        self._sampler.adopt(tensors, record)
        for name, array in arrays.items():
            self._put(name, 0, array.to(self._sampler.state.position.device))
            self.count = self._saved = len(array)
        return True

    def _put(self, name: str, at: int, new: Tensor) -> None:
        if name not in self._arrays:
            self._arrays[name] = new.new_empty((self._draws, *new.shape[1:]))
        self._arrays[name][at : at + len(new)] = new


def refuse_too_many(draws: int, chains: int, dim: int, like: Tensor) -> None:
    """Raise MemoryError before any work where the draws, and their constrained values, will not fit."""
    needed = draws * chains * (3 * dim * like.element_size() + 7 * 8)
    room = torch.cuda.mem_get_info(like.device)[0] if like.is_cuda else os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > room:
        raise MemoryError(
            f"{draws} draws of {chains} chains with {dim} numbers each need {needed / 1e9:.1f} GB, and there are {room / 1e9:.1f} on "
            f"{like.device}; keep every n-th draw (thin=n) and ask for fewer"
        )
