"""Real data sets by name, of which one, `newsgroups`, is downloaded when it is first asked for."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.resources import as_file, files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class Dataset:
    """x: (rows, columns); a series is one row, its columns are times. labels: (rows,) or None. columns: their names.

    source, license: where it is from.
    """

    name: str
    x: "Tensor"
    labels: "Tensor | None"
    columns: list[str]
    source: str
    license: str

    @property
    def frame(self) -> "pd.DataFrame":
        """`x` with its columns' names."""
        import pandas as pd

        return pd.DataFrame(self.x.numpy(), columns=self.columns)


EMBEDDED = ("earthquakes", "faithful", "galaxies", "nile", "packages")
# The column that holds the rows' labels, of those that have such.
LABEL = "label"
UCI = "CC BY 4.0"
FACTS = "facts of public record"
SOURCES = {
    "faithful": ("Azzalini & Bowman 1990, Applied Statistics 39: eruptions of Old Faithful (minutes), waiting time to the next", FACTS),
    "galaxies": ("Roeder 1990, JASA 85: velocities of 82 galaxies in the Corona Borealis region (1000 km/s)", FACTS),
    "earthquakes": ("US Geological Survey: how many earthquakes of magnitude 7 or more in each year, 1900 to 2006; one series", FACTS),
    "nile": ("Cobb 1978, Biometrika 65: yearly flow of the Nile at Aswan (10^8 cubic metres), 1871 to 1970; one series", FACTS),
    "packages": ("354 docstrings of six packages of Python 3.11's library: counts of 208 words; labels: the package", "PSF-2.0"),
    "iris": ("Fisher 1936, Annals of Eugenics 7, through scikit-learn", UCI),
    "wine": ("Aeberhard & Forina 1992, UCI, through scikit-learn", UCI),
    "breast_cancer": ("Wolberg et al. 1995, UCI, through scikit-learn", UCI),
    "docstrings": ("the docstrings of the standard library of the Python at hand, 30 words or more; counts of words", "PSF-2.0"),
    "newsgroups": ("20 newsgroups (Lang 1995, ICML), sorted by date: counts of the 2000 most frequent words; fetched once", "not stated"),
    "reuters": ("395 news of Reuters 1996-1997, counts of 4258 words, through the package lda (extra `text`)", "MPL-2.0"),
    "digits": ("Alpaydin & Kaynak 1998, UCI: 8 x 8 pixels, from 0 to 1, through scikit-learn", UCI),
    "binary_digits": ("`digits` (Alpaydin & Kaynak 1998), pixels of more than a half being 1 and the others 0", UCI),
    "labelled_digits": ("`digits` (Alpaydin & Kaynak 1998), with what each shows in a last column", UCI),
}
OF_DIGITS = ("binary_digits", "labelled_digits")
CORPORA = ("docstrings", "newsgroups", "reuters")
# What the values are divided by.
SCALES = {"digits": 16}


def names() -> list[str]:
    """The names of the data sets, sorted."""
    return sorted(SOURCES)


def load(name: str) -> Dataset:
    """The data set `name`. Raises LookupError that suggests the nearest name; ModuleNotFoundError where its package is not installed;
    OSError where it cannot be fetched."""
    if name not in SOURCES:
        from inference.suggest import unknown

        raise LookupError(unknown("data set", name, names()))
    loader = _embedded if name in EMBEDDED else _corpus if name in CORPORA else _of_digits if name in OF_DIGITS else _from_sklearn
    return loader(name, *SOURCES[name])


def _embedded(name: str, source: str, license: str) -> Dataset:
    import pandas as pd
    import torch

    with as_file(files("zoo.data").joinpath(f"{name}.csv")) as path:
        frame = pd.read_csv(path)
    labels = torch.tensor(frame.pop(LABEL).to_numpy()) if LABEL in frame else None
    return Dataset(name, torch.tensor(frame.to_numpy(), dtype=torch.get_default_dtype()), labels, list(frame), source, license)


def _corpus(name: str, source: str, license: str) -> Dataset:
    import torch

    from . import texts

    counts, labels = getattr(texts, name)()
    x = torch.tensor(counts.to_numpy(), dtype=torch.get_default_dtype())
    return Dataset(name, x, labels and torch.tensor(labels), list(counts.columns), source, license)


def _from_sklearn(name: str, source: str, license: str) -> Dataset:
    import sklearn.datasets
    import torch

    loader: Callable = getattr(sklearn.datasets, f"load_{name}")
    bunch = loader()
    x = torch.tensor(bunch.data, dtype=torch.get_default_dtype()) / SCALES.get(name, 1)
    return Dataset(name, x, torch.tensor(bunch.target), [str(c) for c in bunch.feature_names], source, license)


def _of_digits(name: str, source: str, license: str) -> Dataset:
    import torch

    digits = replace(load("digits"), name=name, source=source, license=license)
    if name == "binary_digits":
        return replace(digits, x=(digits.x > 0.5).to(digits.x))
    return replace(digits, x=torch.column_stack([digits.x, digits.labels.to(digits.x)]), columns=[*digits.columns, "label"])
