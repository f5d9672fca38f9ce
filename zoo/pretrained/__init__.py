"""Posteriors that come with the zoo, each of a pair fitted to an embedded data set.

| file               | what it holds                                                                      |
|--------------------|------------------------------------------------------------------------------------|
| recipes.toml       | how each is made: pair, data (`labelled`: labels are the last column), hyperparameters, method, draws kept |
| PAIR/DATA/...      | the posterior as `Posterior.save` writes it, without the rows, which the zoo has   |
| PAIR/DATA/made.json | data, seed, versions, and what was found: verdict, seconds, mean score of the rows (null: they have none) |

`make pretrained` makes those whose recipe is new or changed. Loading takes no training step and runs no code of the files.
"""

import hashlib
import json
import tomllib
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inference import Posterior, Table

FOLDER = Path(str(files(__package__)))
MOST = 1_000_000  # bytes of one posterior


def recipes() -> dict[str, dict[str, Any]]:
    """How each posterior is made, by name."""
    return tomllib.loads((FOLDER / "recipes.toml").read_text(encoding="utf-8"))


def names() -> list[str]:
    """The names of the posteriors, PAIR/DATA, sorted."""
    return sorted(recipes())


def made(name: str) -> dict[str, Any]:
    """What is known of a posterior: recipe, data, versions, figures. Raises LookupError for one that there is not, or is not made."""
    if name not in recipes():
        from inference.suggest import unknown

        raise LookupError(unknown("pretrained posterior", name, names()))
    path = FOLDER / name / "made.json"
    if not path.is_file():
        raise LookupError(f"the posterior {name!r} is not made yet; run `make pretrained`")
    return json.loads(path.read_text(encoding="utf-8"))


def summary(name: str) -> str:
    """A posterior in a line."""
    try:
        known = made(name)
    except LookupError as error:
        return f"({error})"
    given = ", ".join(f"{key}={value}" for key, value in known["recipe"].get("hyperparameters", {}).items())
    return f"{known['recipe']['method']}, {given}; {known['rows']} rows. {known['verdict']}"


def load_pretrained(name: str) -> "Posterior":
    """The posterior `name`, as `zoo list --pretrained` names it, with its rows.

    Raises: LookupError that suggests the nearest name. ValueError where the files, or the data set, are not those it was made of.
    """
    from dataclasses import replace

    from inference import load

    known = made(name)
    posterior, table = load(FOLDER / name), _rows(name)
    table = replace(table, x=table.x.to(posterior.like))
    if _checksum(table) != known["checksum"]:
        raise ValueError(f"the data set {name.partition('/')[2]!r} is not the one that {name!r} was fitted to; run `make pretrained`")
    return replace(posterior, table=table)


def make(name: str) -> dict[str, Any]:
    """Fit the posterior `name` by its recipe and write its folder. Raises ValueError where it is too large to ship."""
    import shutil
    from dataclasses import replace

    import inference
    from zoo import registry

    recipe = recipes()[name]
    table = _rows(name)
    pair = registry.create(name.partition("/")[0], table, **recipe.get("hyperparameters", {}))
    fit = inference.svi if recipe["method"] == "svi" else inference.mcmc
    how = {} if recipe["method"] == "svi" else {"kernel": recipe["method"]}
    posterior = fit(pair, table, seed=0, device="cpu", compile=False, **how, **recipe.get("settings", {}))
    found = inference.diagnose(posterior)
    posterior = posterior.thinned(recipe.get("thinned", 1))
    score = None if "log_likelihood" in pair.unsuited else float(posterior.score(table).mean())
    figures = {"verdict": found.verdict, "seconds": round(posterior.how["seconds"], 1), "score": score}
    versions = {package: version(package) for package in ("latent-zoo", "torch", "pyro-ppl")}
    known = {"recipe": recipe, "seed": 0, "rows": len(table), "checksum": _checksum(table), "versions": versions, **figures}
    replace(posterior, table=None).save(FOLDER / name, overwrite=True)
    (FOLDER / name / "made.json").write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    if (size := _size(name)) > MOST:
        shutil.rmtree(FOLDER / name)
        raise ValueError(f"{name} takes {size} bytes, more than {MOST}; ask for fewer draws in recipes.toml")
    return known


def _rows(name: str) -> "Table":
    from inference import as_table

    from .. import data

    found = data.load(name.partition("/")[2])
    labels = {"label": found.labels.numpy()} if recipes()[name].get("labelled") else {}
    return as_table(found.frame.assign(**labels))


def _size(name: str) -> int:
    return sum(path.stat().st_size for path in (FOLDER / name).iterdir())


def _checksum(table: "Table") -> str:
    return hashlib.sha256(table.x.float().contiguous().numpy().tobytes()).hexdigest()
