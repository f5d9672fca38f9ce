"""C source as a shared library that is kept on disk, and called by its address."""

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from .values import Unsupported

FLAGS = (
    *("-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-fopenmp-simd"),
    *("-Werror=implicit-function-declaration", "-w", "-shared", "-fPIC"),
)

# How many libraries stay on disk, those used last.
KEPT = 1000


def loaded(source: str) -> ctypes.CDLL:
    """The library that `source` makes, by flags of ours and after them those of `CFLAGS`. Raises Unsupported where it cannot be made."""
    compiler = _compiler()
    if compiler is None:
        raise Unsupported("there is no C compiler")
    flags = [*FLAGS, *os.environ.get("CFLAGS", "").split()]
    name = hashlib.sha256("\n".join([source, *flags, _machine(compiler)]).encode()).hexdigest()[:32]
    try:
        path = _folder() / f"{name}.so"
        if not path.exists():
            _build(compiler, flags, source, path)
        os.utime(path)  # the last to go
        return ctypes.CDLL(str(path))
    except (OSError, RuntimeError) as error:  # a folder that cannot be written, or from which nothing may be run
        raise Unsupported(f"no library can be kept: {error}") from error


def _build(compiler: str, flags: list[str], source: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        code, made = Path(folder, "graph.c"), Path(folder, "graph.so")
        code.write_text(source, encoding="utf-8")
        done = subprocess.run([compiler, *flags, str(code), "-o", str(made), "-lm"], capture_output=True, text=True)
        if done.returncode:
            raise Unsupported(f"{compiler} says: {(done.stderr.strip().splitlines() or ['nothing'])[0]}")
        made.replace(path)
    kept = [(entry.stat().st_mtime, entry.path) for entry in os.scandir(path.parent) if entry.name.endswith(".so")]
    for _, old in sorted(kept)[:-KEPT]:
        Path(old).unlink(missing_ok=True)


def _folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "latent-zoo" / "graphs"


@cache
def _compiler() -> str | None:
    return next((found for name in (os.environ.get("CC"), "cc", "gcc", "clang") if name and (found := shutil.which(name))), None)


@cache
def _machine(compiler: str) -> str:
    """What a library depends on beside its source: the compiler, and the processor that it is made for."""
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True).stdout
    try:
        processor = next(line for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if line.startswith("flags"))
    except (OSError, StopIteration):
        processor = platform.processor()
    return "\n".join([version, platform.machine(), processor])
