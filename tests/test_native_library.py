"""Compiled graphs on disk, and compilers that fail."""

import time

import pytest
import torch

from inference.graphs.graph import graph_of
from inference.native import library
from inference.native.routine import Routine, translated
from inference.native.values import Unsupported


def test_what_the_compiler_makes_wrong_is_not_used(monkeypatch, caplog):
    right = Routine.__call__
    monkeypatch.setattr(Routine, "__call__", lambda self, *args: [result + 1.0 for result in right(self, *args)])
    example = [torch.randn(4)]
    assert translated(graph_of(lambda v: [v.exp()], example, missing=False), example) is None
    assert "the C compiler made a mistake" in caplog.text


def test_a_library_is_kept_and_made_whole(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    source = "int answer(void) { return 42; }"
    assert library.loaded(source).answer() == 42
    monkeypatch.setattr(library, "_build", lambda *args: pytest.fail("it was made again"))
    assert library.loaded(source).answer() == 42
    assert [path.suffix for path in (tmp_path / "latent-zoo" / "graphs").iterdir()] == [".so"]


def test_few_libraries_are_kept_those_used_last(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(library, "KEPT", 2)
    for number in (1, 2, 1, 3):
        assert library.loaded(f"int answer(void) {{ return {number}; }}").answer() == number
        time.sleep(0.01)
    monkeypatch.setattr(library, "_build", lambda compiler, flags, source, path: pytest.fail(source))
    assert [library.loaded(f"int answer(void) {{ return {number}; }}").answer() for number in (1, 3)] == [1, 3]
    with pytest.raises(pytest.fail.Exception, match="return 2"):
        library.loaded("int answer(void) { return 2; }")


def test_a_folder_that_cannot_be_written_is_told(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(Unsupported, match="no library can be kept"):
        library.loaded("int answer(void) { return 42; }")


def test_what_the_compiler_refuses_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(Unsupported, match="error"):
        library.loaded("this is not C")
    assert not [path for path in (tmp_path / "latent-zoo" / "graphs").iterdir() if path.suffix == ".so"]
