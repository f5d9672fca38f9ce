"""Rows in as few bytes as the model promises: bits back, with asymmetric numeral systems.

To store a row, its latents are taken out of the message so far, as if it were random numbers: by their law in the guide. Then the row
is put in, by its law given them, and they are put in by their prior. Whoever reads gets the latents, the row, and by the guide the
bits that they were taken out of. So a row costs minus its ELBO, on average, and the message is that long but for its beginning.

Latents are cut to a grid. Networks are asked in double precision, as many rows at a time as when they were stored, and their answers
are rounded, so that sums taken in another order say the same; a checksum tells where they did not.

Sources: Townsend, Bird & Barber 2019, "Practical lossless compression with latent variables using bits back coding", ICLR; Duda 2009,
"Asymmetric numeral systems", arXiv:0902.0271. The coder is Bamler's `constriction`.
"""

import copy
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from pyro import poutine
from pyro.distributions import Independent, Normal
from torch import Tensor

from ..program import Program
from .decoding import dressed
from .predictive import program_for

if TYPE_CHECKING:
    from ..posterior import Posterior

# Steps of the grid to one, and on either side of zero; of rounded answers to one; rows at a time; bits that a latent may take. A
# message begins with a word for each latent, and two.
GRID, SIDE, ROUND, MOST, TAKEN = 2**8, 2**12, 2**20, 256, 24
MAGIC = int.from_bytes(b"zoo1", "little")


def compress(posterior: "Posterior", x: Any) -> bytes:
    """See `Posterior.compress`."""
    program, table = program_for(posterior, x)
    codec = Codec(posterior)
    x = table.x.flatten(1).cpu().double()
    if program.missing:
        raise ValueError(f"{posterior.name}: rows with missing values cannot be stored; fill them, by posterior.impute for one")
    wrong = ((x < 0) | (x != x.floor()) | (x >= codec.values)).nonzero()
    if len(wrong):
        row, column = wrong[0].tolist()
        raise ValueError(f"{posterior.name}: row {row}, column {column} is {x[row, column]:g}; only 0 to {codec.values - 1} can be stored")
    done = 0
    while done < len(x):
        done += codec.push(x[done:])
    return np.concatenate([np.array([MAGIC, _checksum(x), len(x)], np.uint32), codec.words]).astype("<u4").tobytes()


def decompress(posterior: "Posterior", message: bytes) -> Any:
    """See `Posterior.decompress`."""
    words = np.frombuffer(message[: len(message) // 4 * 4], "<u4").astype(np.uint32)
    if len(message) % 4 or len(words) < 3 or words[0] != MAGIC:
        raise ValueError(f"a message of {len(message)} bytes that posterior.compress did not make")
    checksum, count = words[1:3].tolist()
    codec, parts = Codec(posterior, words[3:]), []
    while sum(map(len, parts)) < count:
        parts.append(codec.pop())
    x = torch.cat(parts[::-1])
    if _checksum(x) != checksum:
        raise ValueError(f"{posterior.name}: the message was made by another posterior, or by a machine that computes otherwise")
    return dressed(posterior, x.to(posterior.like).reshape(-1, *posterior.how["row_shape"]))


def _checksum(x: Tensor) -> int:
    return zlib.crc32(x.to(torch.int32).numpy().tobytes())


class Codec:
    """A message to which rows are added, last in, first out. values: how many a column may have.

    Raises: ImportError without the package `constriction`. TypeError for a pair whose rows have another latent than one with Normal
    guide and prior, that share latents, or whose columns are no codes.
    """

    def __init__(self, posterior: "Posterior", words: np.ndarray | None = None) -> None:
        try:
            import constriction
        except ImportError as error:
            raise ImportError("posterior.compress stores by the package constriction: pip install 'latent-zoo[compress]'") from error
        self._pair = copy.deepcopy(posterior.pair).double().cpu()
        self._blank = torch.zeros(1, *posterior.how["row_shape"], dtype=torch.double)
        self._program = Program(self._pair, self._blank)
        self._name = _only_latent(posterior, self._program)
        self._latents = self._program.sites[self._name].shape[1:].numel()
        self._grid = constriction.stream.model.QuantizedGaussian(-SIDE, SIDE - 1)
        self._columns = constriction.stream.model.Categorical(perfect=False)
        self._counts = constriction.stream.model.Uniform(MOST)
        first = np.random.default_rng(0).integers(0, 2**32, self._latents + 2, dtype=np.uint32)
        begin = {"compressed": first, "seal": True} if words is None else {"compressed": words}
        self._coder = constriction.stream.stack.AnsCoder(**begin)
        self.values = self._probabilities(np.zeros((1, self._latents))).shape[-1]

    @property
    def words(self) -> np.ndarray:
        return self._coder.get_compressed()

    def push(self, x: Tensor) -> int:
        """Add of the rows (rows, columns) as many as the message is long enough to take latents out for. Returns how many."""
        count = min(len(x), MOST, max(1, self._coder.num_bits() // (TAKEN * self._latents)))
        guide, prior = self._laws(x[:count])
        z = self._coder.decode(self._grid, *guide)
        self._coder.encode_reverse(x[:count].to(torch.int32).numpy().ravel(), self._columns, self._probabilities(z))
        self._coder.encode_reverse(z, self._grid, *prior)
        self._coder.encode_reverse(np.array([count - 1], np.int32), self._counts)
        return count

    def pop(self) -> Tensor:
        """(rows, columns) those that were added last."""
        count = int(self._coder.decode(self._counts, 1)[0]) + 1
        _, prior = self._laws(self._blank.flatten(1).expand(count, -1))
        z = self._coder.decode(self._grid, *prior)
        x = torch.as_tensor(self._coder.decode(self._columns, self._probabilities(z))).double().reshape(count, -1)
        self._coder.encode_reverse(z, self._grid, *self._laws(x)[0])
        return x

    def _laws(self, x: Tensor) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
        """Mean and sd of each latent of rows in the guide, and in the prior, in steps of the grid."""
        x = x.reshape(-1, *self._blank.shape[1:])
        with torch.no_grad():
            guide = poutine.trace(self._pair.guide).get_trace(x, len(x)).nodes[self._name]["fn"]
            prior = poutine.trace(self._pair.model).get_trace(x, len(x)).nodes[self._name]["fn"]
        return tuple((_rounded(GRID * law.mean), _rounded(GRID * law.stddev).clip(1 / ROUND)) for law in (guide, prior))

    def _probabilities(self, z: np.ndarray) -> np.ndarray:
        """(rows * columns, values) of each column's values, given latents in steps of the grid."""
        latents = torch.as_tensor(z, dtype=torch.double).reshape(-1, *self._program.sites[self._name].shape[1:]) / GRID
        x = self._blank.expand(len(latents), *self._blank.shape[1:])
        with torch.no_grad():
            found = Program(self._pair, x).observation({self._name: latents}, x)[0].probabilities
        return _rounded(found.flatten(0, -2)).reshape(-1, found.shape[-1]).clip(1 / ROUND)


def _only_latent(posterior: "Posterior", program: Program) -> str:
    """The name of the one latent of a row. Raises TypeError where it cannot be stored by."""
    why = (
        "rows have several latents, or none that the guide draws, or share some" if len(program.sites) != 1 or not program.amortised else ""
    )
    if not why:
        (name,) = program.sites
        laws = [poutine.trace(run).get_trace(program.x).nodes[name]["fn"] for run in (program.pair.guide, program.pair.model)]
        if not all(isinstance(law, Independent) and isinstance(law.base_dist, Normal) for law in laws):
            why = f"the latent {name!r} is not Normal and independent, in the guide and in the prior"
        elif program.pair.covariates:
            why = "its covariates are no part of the message, and would have to be known to whoever reads it"
        elif not program.knows("probabilities"):
            why = "its columns are no codes with probabilities"
    if why:
        raise TypeError(f"{posterior.name}: its rows cannot be compressed: {why}")
    return name


def _rounded(numbers: Tensor) -> np.ndarray:
    return (numbers * ROUND).round().div(ROUND).numpy().astype(np.float64).ravel()
