"""Fits to rows that are streamed: the same answer, at the same cost however many there are."""

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset

import inference
from tests.test_svi import Normal


@pytest.fixture
def rows(tmp_path) -> np.memmap:
    """400 rows of one column, on disk, mean about 1."""
    array = np.random.default_rng(0).normal(1.0, 1.0, (400, 1)).astype(np.float32)
    np.save(tmp_path / "rows.npy", array)
    return np.load(tmp_path / "rows.npy", mmap_mode="r")


def _truth(rows: np.ndarray) -> tuple[float, float]:
    precision = len(rows) + 0.01
    return float(np.asarray(rows, float).sum()) / precision, precision**-0.5


@pytest.mark.parametrize("kind", ["memory map", "dataset"])
def test_a_streamed_fit_finds_the_posterior_of_all_rows(rows, kind):
    x = rows if kind == "memory map" else TensorDataset(torch.tensor(np.asarray(rows)), torch.zeros(len(rows)))
    posterior = inference.svi(Normal(), x, batch=50, steps=1500, device="cpu")
    mean, sd = _truth(rows)
    assert posterior.how["rows"] == 400
    assert posterior.table is None
    assert posterior.pair.q_loc.item() == pytest.approx(mean, abs=0.3 * sd)
    assert posterior.pair.q_scale.item() == pytest.approx(sd, rel=0.1)
    report = inference.diagnose(posterior)
    assert {f.name: f.severity for f in report.findings}["k-hat"] == "warning"


def test_a_streamed_fit_resumes_to_the_same_parameters(rows, tmp_path, monkeypatch):
    settings = {"batch": 32, "steps": 120, "schedule": "constant", "draws": 10, "device": "cpu"}
    whole = inference.svi(Normal(), rows, **settings)
    monkeypatch.setattr(inference.saving.checkpoint.Checkpoint, "due", property(lambda self: True))
    told = []

    def stop(*_):
        told.append(1)
        if len(told) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(inference.fitting.restarts.Batch, "_judge", stop)
        part = inference.svi(Normal(), rows, checkpoint=tmp_path / "run", **settings)
    assert part.how["stopped"].startswith("interrupted after 50")
    again = inference.svi(Normal(), rows, checkpoint=tmp_path / "run", **settings)
    assert torch.equal(again.stats["loss"], whole.stats["loss"])
    assert torch.equal(again.pair.q_loc, whole.pair.q_loc)


def test_a_dataset_without_batch_and_a_fraction_of_a_stream_are_refused(rows):
    with pytest.raises(ValueError, match="batch=256, for instance"):
        inference.svi(Normal(), TensorDataset(torch.tensor(np.asarray(rows))))
    with pytest.raises(ValueError, match="of rows that are streamed none can be held out"):
        inference.svi(Normal(), rows, batch=10, validation=0.2)
