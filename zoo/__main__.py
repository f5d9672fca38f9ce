"""`python -m zoo`: the command `zoo`, as its script is."""

from .cli import app

app(prog_name="zoo")
