"""Pair: what inference asks of a model/guide pair."""

import functools
import inspect
import reprlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, get_type_hints

import pandas as pd
import pyro
import pyro.poutine.indep_messenger
import torch
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pyro.nn import PyroModule
from torch import Tensor

from .rows.table import Table
from .symmetry import Symmetry

if TYPE_CHECKING:
    from .diagnostics.graph import GenerativeGraph


class Pair(PyroModule):
    """A Pyro model and the guide that approximates its posterior. Subclass it; write `__init__`, `model` and `guide`.

    - `model(x, size=None)` and `guide(x, size=None)` are Pyro programs. `x` is the rows at hand, `size` how many there are
      in all. What belongs to a row goes inside `with self.rows(x, size):`; the observed site there holds `x`.
    - The hyperparameters are the arguments of `__init__`: typed, documented under "Arguments:" in the class docstring, and
      plain values (numbers, strings, lists, dicts); arrays become lists, a DataFrame a dict of its rows by name. They are checked
      against their types when a pair is made.
    - The guide's parameters are attributes named `q_*`. The guide has no discrete site: those are summed out of the model.
      Continuous latents of a row it draws given the row, by an encoder (`q_*` too). Parameters of other names are the model's, such
      as a decoder's weights: they have no prior, and `svi` learns them as a point.

    Optional, each used by one generic piece of code:

    - "Limits:", a section of the class docstring before "Arguments:": what the pair cannot tell, needs, or was seen to get wrong, which
      its card says.
    - `objective`: what `svi` minimises unless told otherwise: "elbo" (the default), "iwae", "renyi", "mean_field", "contrastive" or
      "adversarial".
    - `undirected`: a factor among what belongs to a row ties it to its latents, and makes the density known up to a constant only.
      The guide is then the exact law of the latents given a row without holes, and the pair has two buffers: `log_z`, which its model
      takes off the log density of a row, and which a fit sets so that the total mass is one; and `coupling`, 1, by which model and guide
      multiply all that ties rows to latents, so that at 0 they are independent, and in between `annealing.py` finds its way.
    - `unsuited`: what does not suit the pair ("mcmc", "log_likelihood", "generate", "encode", "impute") -> why, and what to use; it is
      then refused, with all that rests on it, and the pair's card says so.
    - `recipe`: the `lr`, `particles`, `steps`, `draws`, `schedule` and `optimiser` of `svi`, unless told otherwise.
    - `solve(x, size)`: what parameters of the guide, by name, should be, given its others and the rows `x` standing for `size`
      rows, where that is known in closed form; `svi` then steps towards it (see `solved.py`) and follows the gradient in the rest.
    - `augment(x)`: what a step of a fit, and rows held out of it, see of rows `x`: others like them, drawn anew each time by torch's
      generator, such as pixels by their shades.
    - `critic()`: for "adversarial", a new network `f(features, latents)` from what `features(x)` gives of rows, and their latents by
      name, to a number a row. `features(x)`: (rows, F) the rows as numbers of about unit scale, zero in holes; rows are near each other
      where these are.
    - `gibbs(x, chains)`: a Gibbs sampler of its own, for `mcmc` with kernel="gibbs": see `Sweeps` in `mcmc/gibbs.py`.
    - `symmetries`: transformations of the parameters that change nothing about the data: `Permutation`, `Sign`,
      `NestedPermutation`, `SignedPermutation`, `Rotation`.
      They are undone in the order given before draws are compared.
    - `dims`: site -> the names of its axes; `coords(columns)`: the labels along an axis, given the names of the columns of rows; of series,
      of what lies along their last axis, numbered where it has no names. Tables, ArviZ and what is told of latents use both.
    - `angles`: of each column along the last axis of rows, where a turn begins, if it holds angles in radians; else None.
    - `restated`: sites that a deterministic site says again in better terms, so that tables leave them out.
    - `quantities`: name -> a number or numbers of a data set (rows, ...), `NaN` where missing, in torch's operations, for which
      data sets drawn from the posterior are to be like the data; beside those looked at for any pair (`Posterior.check`).
    - `answers`: name -> function(posterior, ...) that posteriors of the pair have as a method of that name.
    - `picture(posterior)`: the family's own figure, for the report.
    - `any_length`: rows are series, and those of another length than the rows fitted can be asked about. Of a DataFrame whose rows are
      steps, told by an index of two levels or by names of covariates, they are made (`rows/steps.py`).
    - `covariates`: how many of the last columns of rows, along their last axis, are given and not modelled. The observed site holds
      whole rows, and its distribution passes over these: no density, and in what it draws they are as they were. They may not be missing.
      What makes rows of nothing is told them (`generate(given=...)`), or takes those of the rows fitted. A hyperparameter of that name
      and of the type `inference.covariates.Covariates` lets users say what they are called, in place of how many there are.

    An observed distribution that sums a latent of the row out by itself may say more, and `Posterior` then answers more. Each of
    these takes the rows as the observed site has them:

    - `fill(value)`: a draw of what is missing, for `impute`.
    - `latents(value)`: name -> the distribution of a latent given the row, for `encode`.
    - `given(latents)`: the distribution of rows whose latents, by name, are chosen, for all that moves in their space.
    - `reconstruct(value)`: the mean of the row through its latents, for `reconstruct`.
    - `probabilities`: (rows, columns, values) of each column's values, which are codes 0, 1, ..., for `compress`.
    - of a series: `decode`, `filter`, `increments`, `paths`, `forecast`, as `inference/answers/sequences.py` tells.
    """

    hyperparameters: dict[str, Any]
    # The names of the columns that what was read off them is of, if they had names.
    columns: list[str] | None = None
    symmetries: tuple[Symmetry, ...] = ()
    dims: Mapping[str, tuple[str, ...]] = {}
    restated: tuple[str, ...] = ()
    recipe: Mapping[str, Any] = {}
    unsuited: Mapping[str, str] = {}
    solve: ClassVar[Callable[..., dict[str, Tensor]] | None] = None
    gibbs: ClassVar[Callable[..., Any] | None] = None
    critic: ClassVar[Callable[..., torch.nn.Module] | None] = None
    features: ClassVar[Callable[..., Tensor] | None] = None
    quantities: Mapping[str, Callable[[Tensor], Tensor]] = {}
    answers: ClassVar[Mapping[str, Callable[..., Any]]] = {}
    any_length: ClassVar[bool] = False
    undirected: ClassVar[bool] = False
    covariates: int = 0
    angles: tuple[float | None, ...] = ()
    picture: ClassVar[Callable[[Any], Any] | None] = None

    # Annotated only: a concrete method here would shadow one that a subclass assigns as a module.
    model: Callable[..., None]
    guide: Callable[..., None]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" in cls.__dict__:
            cls.__init__ = _checked(cls.__init__)

    @classmethod
    def read(cls, table: Table, covariates: int = 0) -> dict[str, Any]:
        """The hyperparameters that the data decide (sizes, scales), for those that the user does not give.

        covariates: what the user gives for the hyperparameter of that name, of a pair that has it.
        """
        return {}

    def check(self, table: Table, fitting: bool) -> None:
        """Refuse rows that this pair cannot read, or (`fitting`) cannot be fitted to, with a ValueError."""

    def start(self, x: Tensor) -> None:
        """Set the guide's parameters to a good start for the rows `x`. Random choices use torch's generator."""

    def augment(self, x: Tensor) -> Tensor:
        """(rows, ...) what a step sees of the rows `x`; by default the rows."""
        return x

    def coords(self, columns: list[Any]) -> dict[str, list[Any]]:
        """Labels for the axes named in `dims`; an axis without labels is numbered."""
        return {}

    def refuse_unsuited(self, use: str) -> None:
        """Raise TypeError, with the reason, for a use that the pair says does not suit it."""
        if use in self.unsuited:
            raise TypeError(f"{type(self).__name__}: {use} does not suit it: {self.unsuited[use]}")

    def rows(self, x: Tensor, size: int | None = None) -> pyro.poutine.indep_messenger.IndepMessenger:
        """The plate "data" over the rows of `x`, which stand for `size` rows."""
        return pyro.plate("data", size or len(x), subsample=torch.arange(len(x), device=x.device))

    def graph(self, x: Any) -> "GenerativeGraph":
        """The model's sites, which depends on which, and their plates: a drawing in a notebook, `svg` elsewhere. `x`: some rows."""
        from .covariates import rows_for
        from .diagnostics.graph import generative_graph

        return generative_graph(self, rows_for(self, x).x)


def parameters(cls: type[Pair]) -> dict[str, inspect.Parameter]:
    """The hyperparameters of a pair's class, by name, in order."""
    named = inspect.signature(cls.__init__).parameters.items()
    return {n: p for n, p in named if n != "self" and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}


def adapter(cls: type[Pair], name: str) -> TypeAdapter:
    """What checks and parses the hyperparameter `name` of `cls`."""
    hints = get_type_hints(inspect.unwrap(cls.__init__), include_extras=True)
    return TypeAdapter(hints.get(name, Any), config=ConfigDict(allow_inf_nan=False, arbitrary_types_allowed=True))


def checked(cls: type[Pair], values: Mapping[str, Any]) -> dict[str, Any]:
    """`values` as the types of the hyperparameters of `cls` say.

    Raises:
        TypeError: a name that is no hyperparameter; the message lists those there are.
        ValueError: a value of the wrong type or out of range; the message says what is allowed.
    """
    known = parameters(cls)
    unknown = [name for name in values if name not in known]
    if unknown:
        raise TypeError(f"{cls.__name__} has no hyperparameter {unknown[0]!r}; it has {', '.join(known)}")
    return {name: _one(cls, name, value) for name, value in values.items()}


def _one(cls: type[Pair], name: str, value: Any) -> Any:
    value = _plain(name, value)
    try:
        return adapter(cls, name).validate_python(value, strict=True)
    except ValidationError as error:
        raise ValueError(f"{cls.__name__}: {name}={reprlib.repr(value)}: {reason(error)}; {describe(cls)}") from None


def _plain(name: str, value: Any) -> Any:
    """An array as lists, and a DataFrame as a dict of its rows, which are lists, by name. Raises ValueError for a row's name that comes
    twice."""
    if isinstance(value, pd.DataFrame):
        names = value.index.map(str)
        repeated = names[names.duplicated()]
        if len(repeated):
            raise ValueError(f"{name} has more than one row {repeated[0]!r}; drop all but one")
        return dict(zip(names, value.to_numpy().tolist(), strict=True))
    return value.tolist() if hasattr(value, "tolist") else list(value) if isinstance(value, tuple) else value


def reason(error: ValidationError) -> str:
    """What pydantic found wrong, in a phrase."""
    return "; or ".join(dict.fromkeys(e["msg"][:1].lower() + e["msg"][1:] for e in error.errors()))


def describe(cls: type[Pair]) -> str:
    """The hyperparameters of a pair's class and their defaults, in a phrase."""
    return "the hyperparameters are " + ", ".join(str(p).split(":")[0] + f"={p.default!r}" for p in parameters(cls).values())


def _checked(init: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(init)
    def wrapper(self: Pair, *args: Any, **kwargs: Any) -> None:
        if hasattr(self, "hyperparameters"):  # a subclass called super().__init__: the outermost call keeps the record
            init(self, *args, **kwargs)
            return
        names = list(parameters(type(self)))
        if len(args) > len(names):
            raise TypeError(f"{type(self).__name__} takes at most {len(names)} hyperparameters ({', '.join(names)}), not {len(args)}")
        given = checked(type(self), {**dict(zip(names, args, strict=False)), **kwargs})
        PyroModule.__init__(self)
        defaults = {n: p.default for n, p in parameters(type(self)).items() if p.default is not p.empty}
        self.hyperparameters = {**defaults, **given}
        init(self, **given)

    return wrapper
