"""Parts that may be numbered in any order: matched between posteriors, and told where they are of no use."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor

import inference
import zoo
from inference import Posterior, as_table, matched
from inference.diagnostics.parts import parts
from tests.bars import bars
from tests.posteriors import chains


def of_topics(topics: Tensor, x: Tensor, concentration: float = 0.1) -> Posterior:
    """Draws that scatter a little about the topics (K, V)."""
    pair = zoo.create("lda", x, topics=len(topics), concentration=concentration, topic_concentration=0.1)
    drawn = torch.distributions.Dirichlet(2000 * topics + 0.1).sample((1, 30))
    return Posterior.of(pair, {"topics": drawn}, {}, {"method": "svi"}, as_table(x))


def found(posterior: Posterior) -> dict[str, str]:
    return {finding.severity: finding.evidence for finding in parts(posterior)}


def test_topics_of_one_run_are_found_in_another():
    x, topics = bars()
    order = torch.randperm(10)
    one, other = of_topics(topics, x), of_topics(topics[order][:7], x)
    table = matched(one, other)
    mean, there = one.mean("topics"), other.mean("topics")
    truth = 0.5 * np.abs(mean[:, None] - there).sum(-1)  # every topic's own is far nearer than any other
    left = table["match"].isna()
    assert left.sum() == 3
    assert table["match"][~left].tolist() == truth[~left].argmin(1).tolist()
    np.testing.assert_allclose(table["apart"][~left], truth[~left].min(1))
    assert table["apart"][~left].max() < 0.1
    assert (truth[left].min(1) > 0.5).all()
    assert (matched(one, other, n=5)["overlap"][~left] == 1).all()
    assert table.index.name == "topic"
    back = matched(other, one)["match"]
    assert [table["match"][back[k]] for k in range(7)] == list(range(7))


def test_words_that_topics_share_are_counted():
    x, topics = bars()
    shifted = topics.roll(2, 1)  # of five likeliest words of each row three stay
    table = matched(of_topics(topics[:5], x), of_topics(shifted[:5], x), n=5)
    assert table["overlap"].mean() == pytest.approx(0.6)
    assert table["apart"].mean() == pytest.approx(0.4, abs=0.03)


def test_components_are_matched_by_all_that_tells_them_apart():
    posterior = chains()
    turned = dataclasses.replace(posterior, draws={name: values.flip(2) for name, values in posterior.draws.items()})
    for other in (posterior, turned):
        table = matched(posterior, other)
        assert table["match"].tolist() == [0, 1]
        assert table["apart"].max() < 0.01
        assert "overlap" not in table
    assert matched(posterior, turned).index.name == "component"
    with pytest.raises(ValueError, match="of different pairs"):
        matched(posterior, of_topics(bars()[1], bars()[0]))


def test_factors_are_matched_whatever_their_signs():
    torch.manual_seed(0)
    loadings = torch.randn(5, 3)
    x = torch.randn(50, 3) @ loadings.T + 0.1 * torch.randn(50, 5)
    pair = zoo.create("fa", x, factors=3, ard=True)
    fit = inference.svi(pair, x, steps=3, draws=5, device="cpu", compile=False)
    draws = {**fit.draws, "loadings": loadings + 0.01 * torch.randn(1, 5, 5, 3)}
    other = {**draws, "loadings": draws["loadings"][..., [2, 0, 1]] * torch.tensor([1.0, -1, -1])}
    one, two = (dataclasses.replace(fit, draws=d) for d in (draws, other))
    table = matched(one, two)
    size = [np.abs(p.mean("loadings")) for p in (one, two)]
    np.testing.assert_allclose(size[0], size[1][:, table["match"]], atol=0.05)
    assert table["apart"].max() < 0.1


def test_what_cannot_be_matched_is_refused():
    x, topics = bars()
    with pytest.raises(ValueError, match="'topics'.*differ in size.*same columns"):
        matched(of_topics(topics, x), of_topics(topics[:, :20], x[:, :20]))
    rows = torch.randn(20, 3)
    posterior = inference.svi(zoo.create("ppca", rows, factors=1), rows, steps=3, draws=5, device="cpu", compile=False)
    with pytest.raises(TypeError, match="no parts that may be numbered"):
        matched(posterior, posterior)
    with pytest.raises(ValueError, match="n=0 must be"):
        matched(chains(), chains(), n=0)


def test_topics_that_differ_and_are_used_are_good():
    x, topics = bars()
    assert found(of_topics(topics, x)) == {"good": "10 of 10 topics are used by the rows."}
    report = inference.diagnose(of_topics(topics, x))
    assert "topics" in {finding.name for finding in report.findings}


def test_topics_that_are_alike_and_topics_that_no_text_uses_are_told():
    x, topics = bars()
    planted = torch.cat([topics, topics[3:4], topics[3:4], topics[7:8]])
    said = found(of_topics(planted, x))
    assert said["warning"].startswith("2 groups of them alike: ")
    mean = of_topics(planted, x).mean("topics")
    assert len({len(group.split(",")) for group in said["warning"].split(": ")[1].split("; ")}) == 2  # one of three, one of two
    assert mean.shape == (13, 25)
    # Texts of the first five bars, and the others in no text.
    rows_only = torch.distributions.Multinomial(60, torch.full((5,), 0.2) @ topics[:5]).sample((100,))
    said = found(of_topics(topics[:7], rows_only, concentration=0.01))
    assert "5 of 7 topics are used by the rows; not" in said["note"]
    assert "warning" not in said


def test_components_that_are_one_are_told():
    posterior = chains()
    draws = {name: values.clone() for name, values in posterior.draws.items()}
    assert found(posterior) == {"good": "2 of 2 components are used by the rows."}
    for name, values in draws.items():
        draws[name] = values[:, :, :1].expand_as(values) + 0.01 * torch.randn_like(values) * values[:, :, :1]
    draws["weights"] = draws["weights"] / draws["weights"].sum(-1, keepdim=True)
    said = found(dataclasses.replace(posterior, draws=draws))
    assert said["warning"] == "1 group of them alike: 0 and 1."


def of_mixtures(locs: Tensor) -> Posterior:
    """Draws of a hidden Markov model whose states are mixtures at `locs` (state, component)."""
    torch.manual_seed(0)
    x = locs.flatten()[torch.arange(60) // 10 % locs.numel()] + 0.1 * torch.randn(60)
    x = x[None]
    pair = zoo.create("hmm", x, states=len(locs), emission="mixture", components=locs.shape[1])
    fit = inference.svi(pair, x, steps=2, draws=20, device="cpu", compile=False)
    draws = {**fit.draws, "locs": locs[..., None] + 0.01 * torch.randn(1, 20, *locs.shape, 1)}
    draws |= {name: torch.full_like(fit.draws[name], 0.5) for name in ("scales", "weights")}
    return dataclasses.replace(fit, draws=draws)


def test_states_that_are_mixtures_are_parts_and_their_components_have_no_order():
    locs = torch.tensor([[-4.0, -1.0], [1.0, 5.0], [8.0, 9.0]])
    one = of_mixtures(locs)
    (symmetry,) = one.pair.symmetries
    moved = symmetry.apply(one.draws, torch.tensor([5, 4, 1, 0, 2, 3]).expand(1, 20, -1))
    other = dataclasses.replace(one, draws=moved)
    table = matched(one, other)
    assert table.index.name == "state"
    assert table["match"].tolist() == [0, 1, 2]
    assert table["apart"].max() < 0.01
    # As many states at the same places, of which two were numbered the other way round by the components that come first.
    far = matched(one, of_mixtures(torch.tensor([[1.0, 5.0], [-4.0, -0.9], [8.0, 9.0]])))
    assert far["match"].tolist() == [0, 1, 2] and far["apart"].max() < 0.1
    said = {f.name: f for f in parts(one)}
    assert said["states"].severity == "good" and said["states"].evidence == "3 of 3 states are used by the rows."


def test_states_whose_components_are_the_same_in_another_order_are_alike():
    found = [f for f in parts(of_mixtures(torch.tensor([[-4.0, -1.0], [5.0, 1.0], [1.0, 5.0]]))) if f.severity == "warning"]
    assert [f.evidence for f in found] == ["1 group of them alike: 1 and 2."]
