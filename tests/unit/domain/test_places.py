"""Where the program keeps what it makes: one variable moves it, an empty one does not."""

from pathlib import Path

import pytest

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.domain.places import HOME_VARIABLE, expanded, home


def test_the_variable_moves_everything(monkeypatch, tmp_path):
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
    assert home() == tmp_path


@pytest.mark.parametrize("said", [None, ""])
def test_without_it_or_with_an_empty_one_it_is_the_users_own_folder(monkeypatch, tmp_path, said):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv(HOME_VARIABLE, raising=False)
    if said is not None:
        monkeypatch.setenv(HOME_VARIABLE, said)
    assert home() == Path(tmp_path, ".local", "share", "kalshi-platform")


def test_a_user_without_a_home_is_told_which_variable_to_set(monkeypatch):
    def nobody(cls):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv(HOME_VARIABLE, raising=False)
    monkeypatch.setattr(Path, "home", classmethod(nobody))
    with pytest.raises(ContractError, match=f"name a folder in {HOME_VARIABLE}"):
        home()


def test_the_home_of_nobody_is_refused_and_other_paths_stay(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert (expanded("~/a"), expanded("a/~b")) == (tmp_path / "a", Path("a/~b"))
    with pytest.raises(ContractError, match="'~no-such-user/a': there is no such user here"):
        expanded("~no-such-user/a")
