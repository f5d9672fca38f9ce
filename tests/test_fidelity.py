"""Rows made, held against rows: tests and shares against slow code and known laws, and faults that must be found."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from torch import Tensor

import inference
import zoo
from inference import Posterior, as_table
from inference.diagnostics.manifolds import copied, missed, overlap
from inference.diagnostics.two_samples import classified, discrepancy
from tests.benchmarks.gan import ring


def normals(rows: int, seed: int, shift: float = 0.0) -> Tensor:
    return shift + torch.randn(rows, 3, generator=torch.Generator().manual_seed(seed))


def by_hand(x: Tensor, **weights: float) -> Posterior:
    """A linear generator of standard normal numbers with the given weight and bias, of rows `x`."""
    dim = x.shape[1]
    pair = zoo.create("gan", latents=dim, dim=dim, hidden=[], center=0.0, noise=1e-4)
    with torch.no_grad():
        pair.generator[0].weight.copy_(weights.get("weight", 1.0) * torch.eye(dim))
        pair.generator[0].bias.fill_(weights.get("bias", 0.0))
    return Posterior.of(pair, {}, {}, {"method": "svi", "stopped": "took all 1 steps"}, as_table(x))


def findings(posterior: Posterior) -> dict[str, inference.diagnostics.Finding]:
    return {found.name: found for found in inference.diagnose(posterior).findings}


def test_discrepancy_is_that_of_three_double_sums():
    first, second = normals(20, 0), normals(15, 1, 0.5)
    rows = torch.cat([first, second]).numpy()
    squares = cdist(rows, rows) ** 2
    middle = torch.tensor(squares[squares > 0]).median().item()
    kernel = np.mean([np.exp(-squares / (2 * s**2 * middle)) for s in (0.5, 1.0, 2.0)], 0)
    xx, yy, xy = kernel[:20, :20], kernel[20:, 20:], kernel[:20, 20:]
    truth = (xx.sum() - 20) / (20 * 19) + (yy.sum() - 15) / (15 * 14) - 2 * xy.mean()
    assert discrepancy(first, second, np.random.default_rng(0)).value == pytest.approx(truth, abs=1e-12)


@pytest.mark.parametrize("test", [classified, discrepancy])
def test_equal_laws_are_as_often_unlikely_as_they_should_be_and_others_always(test):
    p = [test(normals(60, 2 * i), normals(60, 2 * i + 1), np.random.default_rng(i)).p for i in range(100)]
    assert sum(value < 0.1 for value in p) <= 18  # of 100 at 0.1, binomial
    assert max(test(normals(60, i), normals(60, i + 50, 1.5), np.random.default_rng(i)).p for i in range(5)) < 0.01


def test_shares_are_those_of_brute_force():
    rows, made = normals(40, 0).numpy(), normals(30, 1, 0.7).numpy()
    reach = [np.sort(cdist(part, part), 1)[:, 5] for part in (rows, made)]
    inside = np.array([[np.linalg.norm(m - r) <= reach[0][j] for j, r in enumerate(rows)] for m in made])
    around = np.array([[np.linalg.norm(m - r) <= reach[1][i] for r in rows] for i, m in enumerate(made)])
    truth = {"precision": inside.any(1).mean(), "recall": around.any(0).mean()}
    truth |= {"density": inside.sum(1).mean() / 5, "coverage": inside.any(0).mean()}
    assert overlap(rows, made) == pytest.approx(truth)


def test_of_equal_laws_the_shares_are_those_known():
    found = overlap(normals(2000, 0).numpy(), normals(2000, 1).numpy())
    assert found["coverage"] == pytest.approx(1 - 2**-5, abs=0.02)  # Naeem et al. 2020
    assert found["density"] == pytest.approx(1, abs=0.05)
    assert copied(normals(2000, 0).numpy(), normals(2000, 1).numpy()) == pytest.approx(0.05, abs=0.02)


def test_clusters_without_rows_made_are_counted():
    rows, modes = ring(320, 0)
    kept = torch.linalg.vector_norm(rows[:, None] - modes[None, 3:], dim=-1).amin(1) < 0.5
    assert missed(rows.numpy(), rows.numpy(), 0) == (0, 8)
    assert missed(rows.numpy(), rows[kept].numpy(), 0) == (3, 8)


def test_a_generator_of_the_law_of_the_data_is_believed_and_its_page_written(tmp_path):
    report = inference.diagnose(by_hand(normals(1000, 0)))
    named = {found.name: found.severity for found in report.findings}
    assert {named[name] for name in ("two samples", "modes", "precision", "copies")} == {"good"}
    assert report.ok
    assert "clusters" in report.to_html(tmp_path / "page.html").read_text()
    assert report.posterior.fidelity(normals(400, 1), rows=100).rows == 100


def test_a_collapsed_generator_is_found():
    found = findings(by_hand(normals(1000, 0), weight=0.05))
    assert (found["modes"].severity, found["two samples"].severity) == ("failure", "failure")
    assert "Modes have collapsed: raise penalty" in found["modes"].advice


def test_rows_made_where_none_are_are_found():
    found = findings(by_hand(normals(1000, 0), bias=9.0))
    assert (found["precision"].severity, found["modes"].severity) == ("failure", "failure")


def test_rows_known_by_heart_are_found():
    """All that a narrow generator makes is as near to a row as no two rows are, where many rows of the data are that one place."""
    rows = normals(1000, 0).numpy()
    assert copied(rows, rows[:300] + 1e-4) == 1.0


def test_a_critic_that_wins_at_once_is_found_with_advice():
    corners = torch.randint(2, (500, 2), generator=torch.Generator().manual_seed(0)).double()
    pair = zoo.create("gan", corners, hidden=[], critic_hidden=[64, 64])
    posterior = inference.svi(pair, corners, steps=300, lr=0.01, batch=100, penalty=0.0, compile=False)
    found = findings(posterior)["critic"]
    assert found.severity == "failure"
    assert "far ahead at once" in found.evidence
    assert "raise penalty, lower lr" in found.advice
    assert posterior.stats["loss"].max() < math.log(2) + 1e-9
    assert not inference.diagnose(posterior).ok


def test_holes_are_made_alike_and_rows_never_fitted_are_asked_about():
    x = normals(400, 0)
    x[::3, 1] = torch.nan
    found = by_hand(x).fidelity()
    assert found.accuracy.p > 0.001
    assert found.table.loc["coverage", "made"] == pytest.approx(found.table.loc["coverage", "rows"], abs=0.15)
