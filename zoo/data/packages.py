"""`python -m zoo.data.packages`: write `packages.csv`, which does not change with the Python at hand; it was made by 3.11.7.

Docstrings of six packages of Python's library, of thirty words or more, sixty of each package at most: how often each word occurs that
ten of them have at least and three in ten at most, and in the last column the number of the package, in alphabetical order.
"""

import sysconfig
from pathlib import Path

import pandas as pd

from ..text import word_counts
from .texts import COMMON, LONG, documented

PACKAGES = ("_pydecimal", "asyncio", "email", "logging", "unittest", "xml")
MOST, RARE = 60, 10


def main() -> None:
    """Write it beside this file."""
    found = {text: module for module, text in documented(Path(sysconfig.get_path("stdlib"))) if len(text.split()) >= LONG}
    frame = pd.DataFrame({"text": list(found), "package": list(found.values())})
    frame = frame[frame["package"].isin(PACKAGES)].groupby("package").head(MOST)
    counts = word_counts(frame["text"], min_df=RARE, max_df=COMMON).sparse.to_dense()
    labelled = counts.assign(label=frame["package"].map(PACKAGES.index))
    labelled.to_csv(Path(__file__).with_suffix(".csv"), index=False)


if __name__ == "__main__":
    main()
