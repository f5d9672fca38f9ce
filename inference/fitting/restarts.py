"""Fits of one guide from several starts, run as one batch."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..generators import adopt_generators, export_generators
from ..graphs.graph import Graph
from ..objective import Objective
from ..program import Values
from ..progress import Tell
from ..recipe import Recipe
from ..rows.minibatches import batches
from ..rows.stream import Rows
from ..saving.checkpoint import Checkpoint
from .blame import ADVICE, blame
from .optimiser import adopt_optimiser, export_optimiser, make_optimiser, pace
from .schedule import TAKEN, WINDOW, Average, make_schedule
from .solved import Solved
from .step import traced_step
from .validation import Validation


class Fits(NamedTuple):
    """What became of each start.

    parameters: name -> (restart, ...). loss: (step, restart). validation: (look, restart) if rows were held out.
    stopped: why the batch stopped.
    """

    parameters: Values
    loss: Tensor
    validation: Tensor | None
    stopped: str

    @property
    def final(self) -> Tensor:
        """(restart,) the loss at the end, on the rows held out if there are any; infinite where a fit failed."""
        loss = self.loss[-WINDOW:].mean(0) if self.validation is None else self.validation.min(0).values
        return torch.where(loss.isfinite(), loss, torch.inf)

    def one(self, restart: int) -> Values:
        """The parameters of one restart."""
        return {name: value[restart] for name, value in self.parameters.items()}

    def curves(self, restart: int) -> Values:
        """(step,) what was minimised, and what that was of the rows held out, `NaN` at the steps between."""
        if self.validation is None:
            return {"loss": self.loss[:, restart]}
        held = torch.full_like(self.loss[:, restart], torch.nan)
        held[WINDOW - 1 :: WINDOW] = self.validation[: len(self.loss) // WINDOW, restart]
        held[-1] = self.validation[-1, restart]
        return {"loss": self.loss[:, restart], "validation": held}


def fit_batch(
    objective: Objective,
    starts: Values,
    x: Tensor | Rows,
    recipe: Recipe = Recipe(),
    *,
    held: Tensor | None = None,
    tell: Tell = lambda done, note: None,
    checkpoint: Checkpoint | None = None,
) -> Fits:
    """Minimise `objective` on rows `x`, in memory or streamed, from each of `starts` at once: name -> (restart, ...) of its parameters.

    Each restart has its own noise; they share the minibatches, the learning rate and the moment to stop. Rows with one axis more,
    (restart, rows, ...), are a data set for each, all of it in every step: as many fits to different data in one batch.

    Arguments:
        held: rows held out, by which to stop. checkpoint: where to go on from, and to save to.

    Raises:
        ValueError: the starts have other names than the parameters, each restart's own rows are to be drawn in minibatches, or the
            loss of every restart is not finite; the message names the site. There is nothing to learn.
    """
    wanted = [name for name, _ in objective.named_parameters()]
    if sorted(starts) != sorted(wanted):
        raise ValueError(f"the starts are of {', '.join(starts)}; the guide's parameters are {', '.join(wanted)}")
    if not wanted:
        name = type(objective.pair).__name__
        raise ValueError(
            f"{name}: neither its guide nor its model has a parameter to learn; name a guide, such as guide='AutoNormal', or use mcmc"
        )
    if recipe.batch and isinstance(x, Tensor) and objective.program.batch_axis(x) is not None:
        raise ValueError(f"batch={recipe.batch}: rows that each restart has of its own are not drawn in minibatches; leave it out")
    return Batch(objective, starts, x, recipe, held).run(tell, checkpoint)


class Batch:
    """A batch of fits on its way. done: how many steps were made. stopped: why it ended, None while it runs."""

    def __init__(self, objective: Objective, starts: Values, x: Tensor | Rows, recipe: Recipe, held: Tensor | None = None) -> None:
        self._objective, self._recipe, here = objective, recipe, objective.program.x
        self.parameters = {name: value.detach().clone() for name, value in starts.items()}
        self._leaves = list(self.parameters.values())
        self._batches = batches(x, recipe.batch, here)
        self._solved = Solved(objective)
        self._carried = {name: torch.stack([value] * len(self._leaves[0])) for name, value in objective.begin(here).items()}
        self._free = [name for name in self.parameters if name not in self._solved.names]
        self._step = self._traced(self._batches.example)
        self._optimiser = make_optimiser(recipe.optimiser, self._leaves, [objective.rate(name) for name in self.parameters])
        self._schedule = make_schedule(recipe.schedule, recipe.steps, objective.inferred)
        self._average = Average(self._leaves)
        self._losses = here.new_empty((recipe.steps, len(self._leaves[0])), dtype=torch.double)
        looks = recipe.steps // WINDOW
        self._held = held if held is None else Validation(objective, held, self.parameters, recipe.patience, recipe.compile, looks)
        self.done, self.stopped = 0, None

    def _traced(self, x: Tensor) -> Graph:
        given = self._objective, self._solved, self.parameters, self._carried, x
        return traced_step(*given, self._recipe.clip, self._recipe.compile, self._recipe.steps)

    @property
    def _averaged(self) -> Values:
        return dict(zip(self.parameters, self._average.values, strict=True))

    def run(self, tell: Tell, checkpoint: Checkpoint | None = None) -> Fits:
        """To the end, from where `checkpoint` was if it holds anything."""
        saved = checkpoint and checkpoint.load()
        if saved:
            self.adopt(*saved)
        while self.stopped is None:
            before = self.export()
            try:
                self.advance(min(WINDOW, self._recipe.steps - self.done))
                self._judge(before)
            except KeyboardInterrupt:
                # The last window was cut off anywhere in a step: what counts is what was whole before it.
                self.adopt(*before)
                if not self.done:
                    raise
                if checkpoint:
                    checkpoint.save(*self.export())
                self.stopped = f"interrupted after {self.done} of {self._recipe.steps} steps"
                break
            tell(self.done, f"loss {self._losses[max(0, self.done - WINDOW) : self.done].mean(0).min():.4g}")
            if checkpoint and (checkpoint.due or self.stopped):
                checkpoint.save(*self.export())
        return self._fits()

    def advance(self, count: int) -> None:
        """So many steps."""
        for i in range(self.done, self.done + count):
            pace(self._optimiser, self._recipe.lr * self._schedule.rate(i))
            chunk = self._batches.at(i)
            if self._batches.holes and not self._objective.program.missing:
                self._objective.program.missing, self._step = True, None
            self._step = self._step or self._traced(chunk)
            *found, self._losses[i] = self._step.flat([*self._leaves, *self._carried.values(), chunk])
            for name in self._free:
                # A fused optimiser reads numbers in the order in which they lie in memory.
                self.parameters[name].grad = found.pop(0).contiguous()
            self._optimiser.step()
            solutions, carried = found[: len(self._solved.names)], found[len(self._solved.names) :]
            self._solved.move(self.parameters, solutions, self._schedule.rate(i))
            self._carried = dict(zip(self._carried, carried, strict=True))
            if (i + 1) % TAKEN == 0 or i + 1 == self._recipe.steps:
                self._average.take(i < self._schedule.since + WINDOW)
        self.done += count

    def _judge(self, before: tuple[Values, dict[str, Any]]) -> None:
        """Decide whether to stop, after a window."""
        losses, last = self._losses[: self.done], self.done == self._recipe.steps
        if not losses[-1].isfinite().any():
            self._explain(before)
        if last and not self._objective.ranks:
            self.stopped = f"took all {self.done} steps: its loss does not tell when it is done"
        elif self._schedule.done(losses, last):
            how = "converged after" if self._schedule.heard else "took all"
            self.stopped = f"{how} {self.done} steps: {self._schedule.reason}"
        elif last:
            self.stopped = f"reached the limit of {self.done} steps with {self._schedule.unsettled}"
        if self._held and self._held.look(self._averaged):
            looks = self._recipe.patience
            self.stopped = f"converged after {self.done} steps: the rows held out have gained nothing for {looks} times {WINDOW} steps"

    def _explain(self, before: tuple[Values, dict[str, Any]]) -> None:
        """Raise ValueError that tells where all losses ceased to be finite, having gone through the last window again."""
        steps, failed = self.done, self._losses[: self.done].isfinite().logical_not()
        # An earlier loss may have been infinite, and have recovered within its window.
        begin = before[1]["done"]
        step = begin + int(failed[begin:].all(1).nonzero()[0])
        restart = int(failed[:step].sum(0).argmin())
        self.adopt(*before)
        self.advance(step - self.done)
        chunk = self._batches.at(step)
        loss = float(self._step(self.parameters, self._carried, chunk)[-1][restart])
        rows = chunk if self._objective.program.batch_axis(chunk) is None else chunk[restart]
        site = blame(self._objective, {name: value[restart] for name, value in self.parameters.items()}, rows)
        raise ValueError(f"the loss became {loss} at step {step + 1} of {steps}{': ' * bool(site)}{site}. {ADVICE}")

    def _fits(self) -> Fits:
        parameters, curve = dict(self.parameters), None
        if self._held:
            parameters, curve = self._held.best, self._held.curve
        elif self.stopped.startswith(("converged", "took all")):
            parameters = self._averaged
        return Fits(parameters, self._losses[: self.done].clone(), curve, self.stopped)

    def export(self) -> tuple[Values, dict[str, Any]]:
        """Copies of all tensors, and plain values, from which `adopt` goes on as if there had been no break."""
        memory, numbers = export_optimiser(self._optimiser)
        named = {
            "parameters": self.parameters,
            "average": self._averaged,
            "optimiser": memory,
            "best": self._held.best if self._held else {},
            "carried": self._carried,
        }
        tensors = {f"{kind}.{name}": value.clone() for kind, values in named.items() for name, value in values.items()}
        tensors |= {"losses": self._losses[: self.done].clone(), "order": self._batches.order, **export_generators(self._losses.device)}
        if self._held:
            tensors["validation"] = self._held.curve
        record = {"done": self.done, "stopped": self.stopped, "averaged": self._average.count, "optimiser": numbers}
        return tensors, record | {"schedule": self._schedule.export()}

    def adopt(self, tensors: Values, record: dict[str, Any]) -> None:
        """Go on from what `export` gave, of a batch made alike."""
        self.done, self.stopped = record["done"], record["stopped"]
        device = self._losses.device
        kinds: dict[str, Values] = {kind: {} for kind in ("parameters", "average", "optimiser", "best", "carried")}
        for key, value in tensors.items():
            kind, _, name = key.partition(".")
            if name:
                kinds[kind][name] = value.to(device)
        torch._foreach_copy_(self._leaves, [kinds["parameters"][name] for name in self.parameters])
        torch._foreach_copy_(self._average.values, [kinds["average"][name] for name in self.parameters])
        self._average.count = record["averaged"]
        self._carried = {name: kinds["carried"][name] for name in self._carried}
        adopt_optimiser(self._optimiser, kinds["optimiser"], record["optimiser"])
        self._losses[: self.done] = tensors["losses"].to(device)
        self._batches.order = tensors["order"].to(device)
        if self._held:
            self._held.best, self._held.curve = kinds["best"], tensors["validation"].to(device)
        self._schedule.adopt(record["schedule"])
        adopt_generators(tensors, device)
