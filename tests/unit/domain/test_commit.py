"""The commit a program runs from: of its checkout, else what the environment says, else unknown."""

import subprocess

import pytest

from kalshi_platform.domain import commit
from kalshi_platform.domain.commit import COMMIT_VARIABLE, git_commit


def git(*arguments: str, folder) -> str:
    identity = ("-c", "user.name=T", "-c", "user.email=t@example.com")
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A repository of one commit whose file stands in for commit.py."""
    git("init", "-q", folder=tmp_path)
    file = tmp_path / "commit.py"
    file.write_text("one\n")
    git("add", ".", folder=tmp_path)
    git("commit", "-q", "-m", "first", folder=tmp_path)
    monkeypatch.setattr(commit, "__file__", str(file))
    return tmp_path


def test_a_checkout_is_named_by_twelve_digits_and_a_changed_one_says_so(checkout):
    clean = git_commit()
    assert clean == git("rev-parse", "HEAD", folder=checkout)[:12]
    (checkout / "commit.py").write_text("two\n")
    assert git_commit() == f"{clean}-dirty"


def test_a_tag_does_not_hide_the_commit(checkout):
    clean = git_commit()
    git("tag", "-a", "v1", "-m", "v1", folder=checkout)
    assert git_commit() == clean


@pytest.mark.parametrize(("said", "expected"), [("abc123", "abc123"), ("", None), (None, None)])
def test_outside_of_a_checkout_the_environment_is_asked(tmp_path, monkeypatch, said, expected):
    monkeypatch.setattr(commit, "__file__", str(tmp_path / "commit.py"))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.delenv(COMMIT_VARIABLE, raising=False)
    if said is not None:
        monkeypatch.setenv(COMMIT_VARIABLE, said)
    assert git_commit() == expected


def test_the_code_has_a_digest_that_changes_with_any_source_file(tmp_path, monkeypatch):
    package = tmp_path / "package" / "domain"
    package.mkdir(parents=True)
    (package / "commit.py").write_text("one\n")
    monkeypatch.setattr(commit, "__file__", str(package / "commit.py"))
    seen = set()
    for name, text in (("a.py", "x"), ("a.py", "y"), ("b.py", "x"), ("notes.txt", "z")):
        (package / name).write_text(text)
        seen.add(commit.code_digest.__wrapped__())
    assert len(seen) == 3  # notes are no code
    assert all(len(digest) == 12 for digest in seen)
