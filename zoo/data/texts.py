"""Corpora: texts as counts of words."""

import ast
import functools
import importlib.util
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from inference.rows.files import read_file

# Words that a docstring has at least, and in how many docstrings a word is found at least, and at most as a share of them.
LONG, RARE, COMMON = 30, 5, 0.3
# Words of 20 newsgroups that are counted, the most frequent, as many as by Srivastava & Sutton 2017.
FREQUENT = 2000
ASIDE = {"test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__", "lib2to3"}


@functools.cache
def docstrings() -> tuple[pd.DataFrame, list[int]]:
    """Counts of words in the docstrings of Python's own library, and the number of the module that each is from."""
    from ..text import word_counts

    root = Path(sysconfig.get_path("stdlib"))
    found = [(module, text) for module, text in documented(root) if len(text.split()) >= LONG]
    modules, texts = (list(part) for part in zip(*dict((text, (module, text)) for module, text in found).values(), strict=True))
    return word_counts(texts, min_df=RARE, max_df=COMMON), pd.factorize(pd.Series(modules))[0].tolist()


def documented(root: Path) -> Iterator[tuple[str, str]]:
    """The docstrings under a folder of Python's library, tests apart, each with the module or package that it is from."""
    for path in sorted(root.rglob("*.py")):
        inside = path.relative_to(root)
        if ASIDE & set(inside.parts):
            continue
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError):  # files that are kept to be broken
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and (text := ast.get_docstring(node)):
                yield inside.parts[0].removesuffix(".py"), text


def reuters() -> tuple[pd.DataFrame, None]:
    """Counts of words in news of 1996 and 1997. Raises ModuleNotFoundError where the package lda, which ships them, is not installed."""
    package = importlib.util.find_spec("lda")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("the data set 'reuters' ships in the package lda: pip install lda")
    return read_file(Path(package.origin).parent / "tests" / "reuters.ldac"), None


def newsgroups() -> tuple[pd.DataFrame, list[int]]:
    """Counts of words in 20 newsgroups, without headers, signatures and quotes, and the number of each text's group.

    The archive is fetched by scikit-learn, checked by its SHA-256 and kept in scikit-learn's folder; texts of which no word is left are
    left out. Raises OSError where it cannot be fetched, or is not the one published.
    """
    from sklearn.datasets import fetch_20newsgroups, get_data_home

    from ..text import word_counts

    try:
        bunch = fetch_20newsgroups(subset="all", shuffle=False, remove=("headers", "footers", "quotes"))
    except OSError as error:
        place = Path(get_data_home()) / "20news_home" / "20news-bydate.tar.gz"
        raise OSError(
            f"the data set 'newsgroups' cannot be fetched: {error}. Without a network, put the archive 20news-bydate.tar.gz "
            f"(http://qwone.com/~jason/20Newsgroups) at {place} and ask again; 'docstrings' and 'reuters' need no download"
        ) from error
    counts = word_counts(bunch.data, max_df=COMMON, max_features=FREQUENT)
    any_word = counts.sparse.to_coo().sum(1).A1 > 0
    return counts[any_word], bunch.target[any_word].tolist()
