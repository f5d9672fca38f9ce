"""The command `zoo`, called as from a shell."""

import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner, Result

from zoo.cli import app

ZOO = Path(sys.executable).parent / "zoo"
SMALL = ["--steps", "60", "--draws", "50", "--quiet"]


def shell(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([ZOO, *map(str, arguments)], capture_output=True, text=True, cwd=cwd, timeout=300)


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


def refused(result: Result, *parts: str) -> None:
    """The command ended with status 2 and one line on stderr that holds all of `parts`."""
    assert result.exit_code == 2, repr(result.exception)
    assert result.stderr.startswith("zoo: ")
    assert len(result.stderr.strip().splitlines()) == 1
    missing = [part for part in parts if part not in result.stderr]
    assert not missing, f"{result.stderr!r} does not say {missing}"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
