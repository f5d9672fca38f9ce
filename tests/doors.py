"""Bad input at every door: what is handed in, and what the message must say."""

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

FRAME = pd.DataFrame({"a": [1.0, 2.0, 3.0, 4.5, 5.0], "b": [2.0, 1.0, 4.0, 3.0, 6.0]}, index=list("vwxyz"))


def refused(error: type[Exception], call: Callable[[], Any], *parts: str) -> None:
    with pytest.raises(error) as caught:
        call()
    missing = [part for part in parts if part not in str(caught.value)]
    assert not missing, f"the message {str(caught.value)!r} does not say {missing}"


def changed(column: str, row: str, value: object) -> pd.DataFrame:
    frame = FRAME.astype({column: object}) if isinstance(value, str) else FRAME.copy()
    frame.loc[row, column] = value
    return frame
