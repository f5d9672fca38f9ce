"""Cards: what a pair is, built from its code."""

import inspect
import re
from typing import TYPE_CHECKING, Any

from . import registry

if TYPE_CHECKING:
    from inference import Pair


USE = """```python
import inference, zoo

pair = zoo.create("{name}", x)
posterior = inference.{method}(pair, x)
print(inference.diagnose(posterior))
```
"""


def card(name: str) -> str:
    """The card of the pair `name`, as Markdown: its story, its hyperparameters, how to use it. Raises LookupError."""
    cls = registry.find(name)
    story = inspect.getdoc(cls).partition("\nArguments:")[0].strip()
    rows = [f"| `{n}` | `{default}` | {meaning} |" for n, default, meaning in hyperparameters(cls)]
    table = "\n".join(["| hyperparameter | default | meaning |", "|---|---|---|", *rows])
    use = USE.format(name=name, method="svi" if "mcmc" in cls.unsuited else "mcmc")
    notes = "".join(f"\nNot suited to {use}: {reason}.\n" for use, reason in cls.unsuited.items())
    return f"# {name}\n\n{story}\n\n## Hyperparameters\n\n{table}\n\n## Use\n\n{use}{notes}"


def hyperparameters(cls: type["Pair"]) -> list[tuple[str, Any, str]]:
    """Each hyperparameter's name, default and meaning, the last from "Arguments:" in the class's docstring ("" if not there)."""
    from inference.pair import parameters

    meanings = _arguments(inspect.getdoc(cls) or "")
    return [(n, "required" if p.default is p.empty else repr(p.default), meanings.get(n, "")) for n, p in parameters(cls).items()]


def _arguments(doc: str) -> dict[str, str]:
    block = re.search(r"^Arguments:\n((?:[ \t]+.*\n?|\n)+)", doc, re.M)
    if not block:
        return {}
    entries = re.split(r"^    (\w+): ", block[1], flags=re.M)[1:]
    return {name: " ".join(text.split()) for name, text in zip(entries[::2], entries[1::2], strict=True)}
