"""What the hidden Markov model refuses, what it reads off series, and how it starts from them."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import dirichlet

import inference
import zoo
from inference.program import Program


@pytest.mark.parametrize(
    ("names", "said"), [(["poisson"], "names 1 families and there are 2 columns"), (["gaussian", "student"], "both have a site 'locs'")]
)
def test_columns_and_families_that_do_not_match_are_refused(names, said):
    with pytest.raises(ValueError, match=said):
        zoo.create("hmm", emission=names, dim=2)


def test_a_frame_whose_rows_are_times_is_refused():
    frame = pd.DataFrame(np.arange(12.0).reshape(6, 2), index=pd.date_range("2001-01-01", periods=6))
    with pytest.raises(ValueError, match=r"the rows of this DataFrame are times .*\.T"):
        inference.svi(zoo.create("hmm", states=2), frame)


@pytest.mark.parametrize(
    ("x", "given", "said"),
    [
        ([[1.0, 2.0]], {"states": 0}, "states=0"),
        ([[1.0, 2.0]], {"emission": "poison"}, "emission='poison'"),
        ([[1.0, 2.0]], {"initial": [0.5, 0.6]}, "2 probabilities that add up to one"),
        ([1.0, 2.0, 3.0], {}, r"3 series of one step each.*hand in x.T"),
        ([[1.0, 2.0], [np.nan, np.nan]], {}, "row 1 has no value at all"),
        ([[3.0, 3.0]], {}, r"column 0 of the series is constant \(3\)"),
        ([[1.0, -2.0]], {"emission": "poisson"}, "row 0, time 1: -2 is no count"),
        ([[1.0, 2.5]], {"emission": "poisson"}, "row 0, time 1: 2.5 is no count"),
        ([[0.0, 5.0]], {"emission": "categorical", "categories": 3}, r"row 0, time 1: 5 is no category: .*0, 1, ..., 2"),
        ([[0.0, 0.5]], {"emission": "categorical"}, "row 0, time 1: 0.5 is no category"),
        ([[0.0, 2.0]], {"emission": "bernoulli"}, "row 0, time 1: 2 is neither 0 nor 1"),
        ([[1.0, 0.0]], {"emission": "gamma"}, "row 0, time 1: 0 is not above zero"),
        (np.ones((1, 2, 3, 4)), {}, "rows must be series"),
        (np.ones((1, 2, 3)), {"dim": 2}, r"series of 2 columns \(dim=2\), and these have 3"),
        (pd.DataFrame([[1.0, 2.0, 3.0]], columns=[2001, 2003, 2002]), {}, "'2002' comes after '2003'"),
        (pd.DataFrame([[1.0, 2.0]], columns=["2001-02-01", "2001-01-01"]), {}, "'2001-01-01' comes after '2001-02-01'"),
        (pd.DataFrame([[1.0, 2.0]], columns=[2001, 2001]), {}, "column '2001' appears twice"),
    ],
)
def test_bad_input_is_refused_at_the_door(x, given, said):
    with pytest.raises(ValueError, match=said):
        zoo.create("hmm", x, **given)


def test_a_value_out_of_range_in_another_column_is_named():
    x = np.zeros((2, 3, 2))
    x[1, 2, 1] = 7
    with pytest.raises(ValueError, match="row 1, time 2, column 1: 7 is no category"):
        zoo.create("hmm", x, emission="categorical", categories=2)


def test_a_column_that_is_no_code_does_not_count_its_categories():
    x = torch.tensor([[[0.0, 1000.0, 1.0], [2.0, 10.0, 0.0], [1.0, 500.0, 1.0]]])
    pair = zoo.create("hmm", x, emission=["categorical", "gaussian", "categorical"])
    sites = inference.svi(pair, x, steps=1, draws=2, device="cpu", compile=False).draws
    assert sites["probabilities3"].shape == (1, 2, 2, 1, 3)
    assert sites["probabilities2"].shape == (1, 2, 2, 1, 2)
    assert zoo.create("hmm", x[..., ::2], emission="categorical", categories=4).emission.sites == ("probabilities",)
    with pytest.raises(ValueError, match="categories has 2 numbers and there are 3 columns"):
        zoo.create("hmm", dim=3, emission="categorical", categories=[3, 2])


def test_columns_of_several_numbers_of_categories_have_the_density_by_hand():
    x = torch.tensor([[[2.0, 1.0], [0.0, 0.0], [1.0, torch.nan]]])
    pair = zoo.create("hmm", states=1, dim=2, emission="categorical", categories=[3, 2], smoothing=1.5)
    program = Program(pair, x)
    values = {name: site["value"] for name, site in program.trace({}, x).nodes.items() if name in program.parameters}
    three, two = values["probabilities3"][0, 0].numpy(), values["probabilities2"][0, 0].numpy()
    prior = dirichlet.logpdf(three, [1.5] * 3) + dirichlet.logpdf(two, [1.5] * 2)
    truth = prior + np.log(three).sum() + np.log(two).sum()
    assert program.log_joint(values, x).item() == pytest.approx(truth, rel=1e-9)


def test_fewer_steps_than_states_are_refused():
    x = torch.tensor([[1.0, torch.nan, 2.0], [3.0, torch.nan, torch.nan]])
    with pytest.raises(ValueError, match="have 3 steps of which something is seen, and there are 4 states; ask for fewer"):
        zoo.create("hmm", x, states=4)
    inference.svi(zoo.create("hmm", x, states=3), x, steps=1, draws=2, device="cpu", compile=False)


def test_more_states_than_values_have_a_start():
    x = (torch.rand(2, 50) < 0.3).double()
    pair = zoo.create("hmm", x, states=4, emission="bernoulli")
    posterior = inference.svi(pair, x, steps=5, draws=10, device="cpu", compile=False)
    assert posterior.draws["chances"].isfinite().all()


def test_padding_does_not_enter_the_start():
    torch.manual_seed(0)
    states = (torch.arange(300) // 30) % 2
    x = (10.0 * states + torch.randn(300))[None]
    longer = torch.cat([x, torch.full((1, 3000), torch.nan)], 1)
    for series in (x, longer):
        pair = zoo.create("hmm", x, states=2)
        torch.manual_seed(1)
        pair.start(series)
        # Nine moves between the states and 290 within, beside the prior's one of each.
        moves = (pair.q_transition - 1).detach()
        assert moves.sum().item() == pytest.approx(299, abs=1e-6)
        assert moves.diag().sum().item() == pytest.approx(290, abs=1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_covariates_that_say_the_same_are_refused_where_no_prior_tells_them_apart(dtype):
    generator = np.random.default_rng(0)
    shown, first, other = generator.normal(size=(3, 2, 50))
    scale = 1e4 if dtype is torch.float32 else 1e9
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        for third in (first, 2 * first - other + 3.0):
            x = np.stack([shown, first, np.full_like(first, 3.0), other, third], -1)
            which = "0, 3" if third is first else "0, 2, 3"
            with pytest.raises(ValueError, match=f"covariates {which} say the same.*effect_scale=.*drop one of them"):
                zoo.create("hmm", x, covariates=4, effect_scale=scale)
            zoo.create("hmm", x, covariates=4)
        x = np.stack([shown, first, np.full_like(first, 3.0), other], -1)
        pair = zoo.create("hmm", x, covariates=3, effect_scale=scale)
        pair.start(torch.as_tensor(x, dtype=dtype))
        assert pair.on_emission.q_tril.isfinite().all()
    finally:
        torch.set_default_dtype(before)
