"""How the learning rate goes down, and when to stop."""

import math
from statistics import NormalDist
from typing import Any, Protocol

import torch
from torch import Tensor

from ..suggest import unknown

FACTOR = 0.3
WINDOW = 50
# One step in so many enters the average: neighbours hardly differ, and small steps are made of little else.
TAKEN = 5
LEAST = 6 * WINDOW
NEGLIGIBLE = 0.01
LOUD = 0.5
# Standard deviations: two chains so far apart have an R-hat of sqrt(1 + APART^2 / 2), which is 1.01.
APART = 0.2
BARELY = 0.5
FEWEST = 2
SETTLING = "the loss still settling"


class Schedule(Protocol):
    """What a fit asks every step (`rate`) and every window (`done`).

    since: the step from which parameters are averaged. reason: why it is done, for the user. heard: whether the loss told so.
    unsettled: what is amiss where it is not.
    """

    since: int
    reason: str
    unsettled: str
    heard: bool

    def rate(self, step: int) -> float:
        """The multiple of the first learning rate for a step."""

    def done(self, losses: Tensor, last: bool) -> bool:
        """Take note of all losses so far (step, restart); whether they have settled. last: there will be no more."""

    def export(self) -> dict[str, Any]:
        """Plain values from which `adopt` goes on."""

    def adopt(self, record: dict[str, Any]) -> None: ...


class Settling:
    """Lowers the learning rate where the loss has stopped falling, until lowering it no longer lowers the loss.

    At one rate the loss has stopped falling when the last third of its steps is no lower than the third before, up to their
    noise; the longer it goes on, the slower a drift that is seen. A lower rate has not helped when it gained less than twice
    the noise, or 0.01 nats, which no use of a posterior could tell; the rate is lowered twice at least. All restarts share one rate:
    it is lowered when none falls any more, and the noise is allowed for as the most of so many.

    Where minibatches make the noise louder than half a nat, gains cannot be heard, and a fit that stopped early would keep a
    guide that is too wide: all steps are taken, the rate lowered after a half of them, a half of the rest, and so on.
    """

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self.since, self._drops, self._before = 0, 0, None
        self.reason, self.unsettled, self.heard = "a lower learning rate no longer lowers the loss", SETTLING, True

    def rate(self, step: int) -> float:
        return FACTOR**self._drops

    def done(self, losses: Tensor, last: bool) -> bool:
        stretch = losses[self.since :]
        if len(stretch) < LEAST:
            return False
        earlier, now, noise, odds = _thirds(stretch)
        if _falling(earlier, now, noise, odds):
            return False
        if noise.nan_to_num(0).max() > LOUD:
            self.reason, self.heard = "no fall can be heard above the noise of the loss", False
            left = self._steps - len(losses)
            if last or not LEAST <= left <= self._steps / 2 ** (self._drops + 1):
                return last
        gained = None if self._before is None else now.new_tensor(self._before) - now
        helped = gained is None or bool((gained > ((1 + odds) * noise).clamp(min=NEGLIGIBLE)).any())
        if not helped and self._drops >= FEWEST and noise.nan_to_num(0).max() <= LOUD:
            return True
        self._before, self.since, self._drops = now.tolist(), len(losses), self._drops + 1
        return False

    def export(self) -> dict[str, Any]:
        return {"since": self.since, "drops": self._drops, "before": self._before}

    def adopt(self, record: dict[str, Any]) -> None:
        self.since, self._drops, self._before = record["since"], record["drops"], record["before"]


class Constant:
    """One rate for all steps; the parameters of the second half are averaged."""

    reason, unsettled, heard = "the loss no longer falls", SETTLING, True

    def __init__(self, steps: int) -> None:
        self.since = steps // 2

    def rate(self, step: int) -> float:
        return 1.0

    def done(self, losses: Tensor, last: bool) -> bool:
        return last and len(losses) >= LEAST and not _falling(*_thirds(losses))

    def export(self) -> dict[str, Any]:
        return {}

    def adopt(self, record: dict[str, Any]) -> None:
        pass


class Cosine(Constant):
    """From the first rate down to none along half a cosine; the parameters of the last tenth are averaged.

    Source: Loshchilov & Hutter 2017, "SGDR: stochastic gradient descent with warm restarts", ICLR.
    """

    def __init__(self, steps: int) -> None:
        self._steps, self.since = steps, steps - steps // 10

    def rate(self, step: int) -> float:
        return 0.5 * (1 + math.cos(math.pi * step / self._steps))


class Cycles(Constant):
    """Two cosines, the second over twice the steps of the first, so that it is seen what twice the steps gained.

    As the rate goes down so does the noise in the parameters, and the loss with it: of one cosine nobody can tell whether more steps would
    have lowered its end. The last thirds of two were at the same rates, and differ by what the steps have gained.

    How much is too much? What the loss gains, the guide comes nearer to the posterior, in nats of their divergence; and a Gaussian whose
    mean moves by d of its standard deviations comes nearer by d^2 / 2. A gain g shared by n numbers is thus a move of sqrt(2 g / n) of
    the standard deviation of each. Such a move is let be up to `APART`: an R-hat between the fits of n and of 2 n steps would be 1.01,
    which chains are granted too. Where nothing but points is learnt, up to `BARELY` is let be: the rows then speak for the later point
    by a factor of 1.6, "not worth more than a bare mention". Nats for each row would be no measure: as rows become many and a posterior
    narrow, ever less of them moves it by as much. A gain that is not shared, but made by a few of many numbers, has moved these further:
    it is told in nats too.

    Arguments:
        numbers: how many are inferred (`Objective.inferred`).

    Source: Loshchilov & Hutter 2017, section 3, of which these are the restarts; Kass & Raftery 1995, "Bayes factors", JASA 90, section
    3.2 (the mention).
    """

    def __init__(self, steps: int, numbers: int) -> None:
        self._first, self._numbers = steps // 3, numbers
        self._cosines = Cosine(self._first), Cosine(steps - self._first)
        self.since = self._first + self._cosines[1].since

    def rate(self, step: int) -> float:
        second = step >= self._first
        return self._cosines[second].rate(step - second * self._first)

    def done(self, losses: Tensor, last: bool) -> bool:
        if not last or len(losses) < LEAST:
            return False
        short, long = losses[: self._first], losses[self._first :]
        before, now, noise, odds = _compared(short[-(len(short) // 3) :], long[-(len(long) // 3) :])
        gained, noise = max(float((before - now).nan_to_num(0).max()), 0.0), float(noise.nan_to_num(0).max())
        let_be = max(NEGLIGIBLE, self._numbers * APART**2 / 2) if self._numbers else BARELY
        self.heard = noise <= max(LOUD, let_be / 2)
        self.reason = f"twice the steps gained {gained:.3g} nats, with a noise of {noise:.2g}{self._moved(gained)}"
        self.unsettled = f"{SETTLING}: {self.reason}"
        return gained <= max((1 + odds) * noise, let_be)

    def _moved(self, gained: float) -> str:
        if not self._numbers:
            return ""
        moved = math.sqrt(2 * gained / self._numbers)
        return f": as if each of {self._numbers} numbers inferred had moved by {moved:.2g} standard deviations ({APART:g} is let be)"


SCHEDULES = ("settle", "constant", "cosine", "cycles")


def check_schedule(name: str) -> None:
    """Refuse a schedule that there is not. Raises ValueError that suggests the nearest."""
    if name not in SCHEDULES:
        raise ValueError(unknown("schedule", name, SCHEDULES))


def make_schedule(name: str, steps: int, numbers: int) -> Schedule:
    """The schedule of that name, of so many steps by which so many numbers are inferred."""
    if name == "cycles":
        return Cycles(steps, numbers)
    return {"settle": Settling, "constant": Constant, "cosine": Cosine}[name](steps)


def _thirds(stretch: Tensor) -> tuple[Tensor, Tensor, Tensor, float]:
    """The middle and the last third of losses (step, restart), as `_compared` has them."""
    third = len(stretch) // 3
    return _compared(stretch[-2 * third : -third], stretch[-third:])


def _compared(earlier: Tensor, last: Tensor) -> tuple[Tensor, Tensor, Tensor, float]:
    """Means (restart,) of two stretches of losses (step, restart), the noise of their difference, and its odds.

    The odds are the standard normal deviate that the largest of so many restarts stays below as often as one stays below 1.
    All is `NaN` for a restart whose loss is not finite, and compares as settled.
    """
    noise = (earlier.var(0) / len(earlier) + last.var(0) / len(last)).sqrt()
    return earlier.mean(0), last.mean(0), noise, NormalDist().inv_cdf(NormalDist().cdf(1) ** (1 / last.shape[1]))


def _falling(earlier: Tensor, now: Tensor, noise: Tensor, odds: float) -> bool:
    return bool((earlier - now > (odds * noise).clamp(min=0.1 * NEGLIGIBLE)).any())


class Average:
    """The mean of the parameters over (one in `TAKEN` of) the steps at one learning rate, which wanders far less than the last of them.

    Source: Polyak & Juditsky 1992, "Acceleration of stochastic approximation by averaging", SIAM J. Control Optim. 30.
    """

    def __init__(self, parameters: list[Tensor]) -> None:
        self._parameters, self.count = parameters, 0
        self.values = [p.clone() for p in parameters]

    def take(self, fresh: bool) -> None:
        """Note the parameters after a step; `fresh` begins anew."""
        self.count = 1 if fresh else self.count + 1
        torch._foreach_lerp_(self.values, self._parameters, 1 / self.count)
