"""The data sets by name."""

import sys

import pytest
import torch

import zoo

SHAPES = {
    "binary_digits": (1797, 64, 10),
    "breast_cancer": (569, 30, 2),
    "digits": (1797, 64, 10),
    "earthquakes": (1, 107, None),
    "faithful": (272, 2, None),
    "galaxies": (82, 1, None),
    "iris": (150, 4, 3),
    "labelled_digits": (1797, 65, 10),
    "nile": (1, 100, None),
    "packages": (354, 208, 6),
    "reuters": (395, 4258, None),
    "wine": (178, 13, 3),
}


def test_the_names_are_those_of_the_table_of_shapes():
    assert zoo.data.names() == sorted([*SHAPES, "docstrings", "newsgroups"])


@pytest.mark.parametrize("name", SHAPES)
def test_a_data_set_is_whole(name):
    rows, columns, classes = SHAPES[name]
    data = zoo.data.load(name)
    assert data.name == name
    assert data.x.shape == (rows, columns)
    assert data.x.dtype == torch.float64
    assert data.x.isfinite().all()
    assert len(set(data.columns)) == columns
    assert all(isinstance(column, str) for column in data.columns)
    labels = data.labels
    assert (labels is None) if classes is None else (labels.shape == (rows,) and len(labels.unique()) == classes)


@pytest.mark.parametrize("name", SHAPES)
def test_a_data_set_says_where_it_is_from(name):
    data = zoo.data.load(name)
    assert any(year in data.source for year in ("19", "20", "3.11"))
    assert data.license in ("CC BY 4.0", "MPL-2.0", "PSF-2.0", "facts of public record")


@pytest.mark.parametrize("name", SHAPES)
def test_its_frame_holds_its_rows_and_names(name):
    data = zoo.data.load(name)
    assert list(data.frame.columns) == data.columns
    assert torch.equal(torch.tensor(data.frame.to_numpy()), data.x)


def test_faithful_is_the_published_one():
    frame = zoo.data.load("faithful").frame
    assert list(frame.columns) == ["eruptions", "waiting"]
    assert frame["waiting"].mean() == pytest.approx(70.897059, abs=1e-6)
    assert frame["eruptions"].mean() == pytest.approx(3.487783, abs=1e-6)
    assert frame["eruptions"].std() == pytest.approx(1.141371, abs=1e-6)
    assert frame.iloc[0].tolist() == [3.6, 79.0]
    assert frame.iloc[-1].tolist() == [4.467, 74.0]


def test_galaxies_are_the_published_ones():
    velocity = zoo.data.load("galaxies").frame.iloc[:, 0]
    assert velocity.mean() == pytest.approx(20.83, abs=0.01)
    assert (velocity.min(), velocity.max()) == pytest.approx((9.172, 34.279))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", ["faithful", "wine"])
def test_the_default_dtype_is_followed(name, dtype):
    torch.set_default_dtype(dtype)
    assert zoo.data.load(name).x.dtype == dtype


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(LookupError, match="no data set .faithfull.; did you mean .faithful.*docstrings, earthquakes, faithful"):
        zoo.data.load("faithfull")
    with pytest.raises(LookupError, match="no data set 'zzz'. There are binary_digits"):
        zoo.data.load("zzz")


def test_digits_are_had_as_bits_and_with_their_labels():
    whole, bits, labelled = (zoo.data.load(name) for name in ("digits", "binary_digits", "labelled_digits"))
    assert torch.equal(bits.x == 1, whole.x > 0.5)
    assert torch.equal(labelled.x[:, :-1], whole.x)
    assert torch.equal(labelled.x[:, -1].long(), whole.labels.long())
    assert labelled.columns[-1] == "label"


def test_a_set_loaded_twice_is_not_shared():
    zoo.data.load("faithful").x.zero_()
    assert zoo.data.load("faithful").x.mean() > 0


def test_the_series_are_the_published_ones():
    earthquakes, nile = (zoo.data.load(name).frame.iloc[0] for name in ("earthquakes", "nile"))
    assert (earthquakes["1900"], earthquakes["2006"], earthquakes.max(), earthquakes.min()) == (13, 11, 41, 6)
    assert earthquakes.mean() == pytest.approx(19.36, abs=0.005)
    assert (nile["1871"], nile["1970"], nile.idxmin()) == (1120, 740, "1913")
    assert nile.mean() == pytest.approx(919.35)
    assert nile.std() == pytest.approx(169.2275, abs=1e-4)


def test_docstrings_are_the_texts_of_the_python_at_hand():
    data = zoo.data.load("docstrings")
    assert len(data.x) > 1000
    assert len(data.columns) == data.x.shape[1] > 1000
    assert torch.equal(data.x, data.x.round()) and (data.x.sum(1) > 0).all()
    assert {"file", "module", "thread"} <= set(data.columns)
    assert len(data.labels.unique()) > 50
    assert data.license == "PSF-2.0"


def test_reuters_without_its_package_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "lda", None)
    with pytest.raises(ModuleNotFoundError, match="pip install lda"):
        zoo.data.load("reuters")


def test_reuters_is_the_published_corpus():
    reuters = zoo.data.load("reuters").frame
    assert reuters.to_numpy().sum() == 84_010  # as the package lda says when it fits it
    assert list(reuters.columns[:4]) == ["church", "pope", "years", "people"]
