"""`make notebooks`: run the notebooks and keep what they show. `python -m tests.notebooks NAME...` runs those named."""

import os
import sys
from pathlib import Path

import nbformat
import typer
from nbclient import NotebookClient

FOLDER = Path(__file__).parent.parent / "notebooks"


def main() -> None:
    """Run each in a kernel of its own, with the repository's root at hand."""
    os.environ["PYTHONWARNINGS"] = "ignore:IProgress"  # that Jupyter has no widgets, of which there are none here
    for path in [FOLDER / f"{name}.ipynb" for name in sys.argv[1:]] or sorted(FOLDER.glob("*.ipynb")):
        book = nbformat.read(path, as_version=4)
        NotebookClient(book, timeout=600, resources={"metadata": {"path": str(FOLDER.parent)}}, record_timing=False).execute()
        nbformat.write(book, path)
        typer.echo(f"ran {path.name}")


if __name__ == "__main__":
    main()
