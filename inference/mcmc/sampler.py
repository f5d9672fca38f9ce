"""A batch of chains on its way: where it is, what it has learnt, and the steps that take it on."""

from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from .leapfrog import State, Target, init
from .noise import normal, uniform
from .space import Space, estimate, estimate_each
from .warmup import Number, StepSize, first_step_size, hopeless, windows


class Kernel(Protocol):
    """What a kernel's file provides: transitions of all chains at once."""

    target_acceptance: float
    memory: dict[str, float]

    def advance(self, state: State, first: int, count: int, step_size: Number, space: Space) -> tuple[State, Tensor, Any]: ...
    def learn(self) -> None: ...
    def settle(self) -> None: ...


class Sampler:
    """All chains of a run. done: how many transitions each has made, warm-up included. restarted: how many chains were moved.

    alike: whether all chains have the same posterior. Where each has its own, no chain can take another's place, nor does its log
    density tell of the other's: none is moved, and each learns a scale and a step size of its own. dense: whether the scale of all is.
    """

    def __init__(self, kernel: Kernel, target: Target, keys: Tensor, warmup: int, dense: bool = False, alike: bool = True) -> None:
        self._kernel, self._target, self._keys, self._warmup, self._dense, self._alike = kernel, target, keys, warmup, dense, alike
        self._stretches = {end: begin for begin, end in windows(warmup)}
        self._step = StepSize(kernel.target_acceptance)
        self._seen: list[tuple[Tensor, Tensor]] = []
        self.done, self.restarted = 0, 0

    def set_out(self, starts: Tensor) -> None:
        """Begin at the first of `starts` (draw, chain, dim), whose spread is the first guess at the posterior's."""
        self._settle_in(starts[0], self._estimated(starts))

    def warm_up(self) -> float:
        """One transition of every chain, from which the sampler learns; returns the mean acceptance."""
        self.state, white, info = self._kernel.advance(self.state, self.done, 1, self._step.now, self.space)
        acceptance = info.acceptance_rate[0].double().cpu().numpy()
        self._step.learn(acceptance.mean() if self._alike else acceptance)
        self._kernel.learn()
        self._seen.append((self.space.position(white[0]), info.lp[0]))
        self.done += 1
        if self.done in self._stretches:
            self._learn_space(self._seen[self._stretches[self.done] - self.done :])
            self._seen = []
        if self.done == self._warmup:
            self._kernel.settle()
            self._step.settle()
        return float(acceptance.mean())

    def draw(self, count: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The next `count` positions (draw, chain, dim) and their statistics, each (draw, chain)."""
        self.state, white, info = self._kernel.advance(self.state, self.done, count, self._step.now, self.space)
        self.done += count
        return self.space.position(white), info._asdict() | {"step_size": info.lp.new_tensor(self._step.now).expand_as(info.lp)}

    def export(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and plain values from which `adopt` goes on as if there had been no break."""
        seen = {"seen": torch.stack([p for p, _ in self._seen]), "seen_lp": torch.stack([d for _, d in self._seen])} if self._seen else {}
        record = {
            "done": self.done,
            "restarted": self.restarted,
            "step": self._step.asdict(),
            "kernel": self._kernel.memory,
        }
        return {**self.state._asdict(), **self.space._asdict(), **seen}, record

    def adopt(self, tensors: dict[str, Tensor], record: dict[str, Any]) -> None:
        """Go on from what `export` gave."""
        like = {name: tensor.to(self._keys.device) for name, tensor in tensors.items()}
        self.state, self.space = State(*(like[n] for n in State._fields)), Space(*(like[n] for n in Space._fields))
        self._seen = list(zip(like["seen"], like["seen_lp"], strict=True)) if "seen" in like else []
        self.done, self.restarted = record["done"], record["restarted"]
        self._step = StepSize(**record["step"])
        self._kernel.memory.update(record["kernel"])

    def _learn_space(self, seen: list[tuple[Tensor, Tensor]]) -> None:
        positions, log_densities = (torch.stack(part) for part in zip(*seen, strict=True))
        now = positions[-1]
        if self._alike and (lost := hopeless(positions, log_densities)).any():
            good = (~lost).nonzero()[:, 0]
            self.restarted += int(lost.sum())
            now = now.index_put((lost.nonzero()[:, 0],), now[good[torch.arange(int(lost.sum())) % len(good)]])
            positions = positions[:, good]
        self._settle_in(now, self._estimated(positions))

    def _estimated(self, positions: Tensor) -> Space:
        return estimate(positions, self._dense) if self._alike else estimate_each(positions)

    def _settle_in(self, positions: Tensor, space: Space) -> None:
        """Go on from `positions` (chain, dim) in another space, where the step size is to be learnt again."""
        self.space = space
        self.state = init(space.white(positions), lambda white: self._target(white, space))
        noise = uniform(self._keys, torch.full_like(self._keys, -1 - self.done), positions.shape[1])
        momentum = normal(noise).to(positions.dtype)
        guess = self._step.now if self._step.count else 1.0 if self._alike else np.ones(len(positions))
        self._step.restart(first_step_size(self.state, self._target, space, momentum, self._step.target, guess))
