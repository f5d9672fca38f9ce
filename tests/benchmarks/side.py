"""A side of a comparison in a process of its own, so that no cache, thread pool or compiler of one side disturbs the other."""

import importlib
import json
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from typing import Any


def apart(function: Callable[..., Any], **settings: Any) -> Any:
    """What a module's `function` returns for `settings`, both as JSON allows, in a fresh process with empty caches of compiled code."""
    request = json.dumps([function.__module__, function.__name__, settings])
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": cache, "XDG_CACHE_HOME": cache}
        done = subprocess.run([sys.executable, "-m", __name__, request], env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{function.__name__}({settings}) failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    module, name, given = json.loads(sys.argv[1])
    print(json.dumps(getattr(importlib.import_module(module), name)(**given)))
