"""20 newsgroups by name: an archive of the same make, planted where scikit-learn fetches it from."""

import hashlib
import io
import tarfile
from pathlib import Path

import pytest
import sklearn.datasets._twenty_newsgroups as fetched
import torch

import zoo

POSTS = {
    "train": {"sci.space": ["rocket orbit rocket", "orbit launch"], "rec.autos": ["engine wheel", ""]},
    "test": {"sci.space": ["launch rocket"], "rec.autos": ["wheel brake brake brake", "and the of"]},
}


@pytest.fixture
def archive(tmp_path, monkeypatch) -> Path:
    """The archive, published at a file's address with its checksum; nothing is fetched yet."""
    path = tmp_path / "20news-bydate.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for part, groups in POSTS.items():
            for group, posts in groups.items():
                for number, text in enumerate(posts):
                    content = f"From: someone\nSubject: secret\n\nThem wrote:\n> quoted words\n{text}\n\n-- \nsignature".encode("latin1")
                    member = tarfile.TarInfo(f"20news-bydate-{part}/{group}/{number}")
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path / "home"))
    monkeypatch.setattr(fetched, "ARCHIVE", _published(path, hashlib.sha256(path.read_bytes()).hexdigest()))
    return path


def _published(path: Path, checksum: str) -> fetched.RemoteFileMetadata:
    return fetched.RemoteFileMetadata(path.name, path.as_uri(), checksum)


def test_it_is_fetched_once_and_counted(archive):
    data = zoo.data.load("newsgroups")
    assert data.columns == ["brake", "engine", "launch", "orbit", "rocket", "wheel"]  # no header, quote or signature
    # Texts without a word are left out, with their labels: groups by name.
    found = sorted(zip(data.labels.tolist(), data.x.tolist(), strict=True))
    assert found == [
        (0, [0, 1, 0, 0, 0, 1]),
        (0, [3, 0, 0, 0, 0, 1]),
        (1, [0, 0, 0, 1, 2, 0]),
        (1, [0, 0, 1, 0, 1, 0]),
        (1, [0, 0, 1, 1, 0, 0]),
    ]
    archive.unlink()
    assert torch.equal(zoo.data.load("newsgroups").x, data.x)


def test_another_archive_is_refused(archive, monkeypatch):
    monkeypatch.setattr(fetched, "ARCHIVE", _published(archive, "0" * 64))
    with pytest.raises(OSError, match="'newsgroups' cannot be fetched: The SHA256 checksum.*differs"):
        zoo.data.load("newsgroups")


def test_without_a_network_it_says_what_to_do_and_that_helps(archive, tmp_path, monkeypatch):
    published = fetched.ARCHIVE
    monkeypatch.setattr(fetched, "ARCHIVE", _published(tmp_path / "nowhere.tar.gz", published.checksum)._replace(filename=archive.name))
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    place = tmp_path / "home" / "20news_home" / archive.name
    with pytest.warns(UserWarning, match="Retry"), pytest.raises(OSError, match="cannot be fetched.*put the archive") as told:
        zoo.data.load("newsgroups")
    assert str(place) in str(told.value)
    archive.rename(place)
    assert len(zoo.data.load("newsgroups").x) == 5
