"""The registry of a command that was given none: found and said for readers, named for writers."""

import pytest
from made.registry_models import made_policy, made_record

from kalshi_platform.cli.registries import QUICKSTART, registry_to_change, registry_to_read, registry_words
from kalshi_platform.domain.errors import ContractError, LimitError
from kalshi_platform.domain.places import HOME_VARIABLE
from kalshi_platform.models.registry.store import REGISTRY_VARIABLE, Registry


@pytest.fixture
def here(monkeypatch, tmp_path):
    """A working folder and a home without any registry."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))
    monkeypatch.delenv(REGISTRY_VARIABLE, raising=False)
    return tmp_path


def fill(place, seed=0):
    store = Registry(place)
    model = store.add(*made_record(made_policy(seed=seed))).id
    store.promote("challenger", model, reason="tried")
    return model


def test_a_reader_takes_the_home_registry_where_it_holds_a_model(here, capsys):
    fill(here / "home" / "registry")
    fill(QUICKSTART, seed=1)
    assert registry_to_read(None).uri == str(here / "home" / "registry")
    assert capsys.readouterr().err == ""


def test_a_reader_finds_the_registry_of_make_run_and_says_so(here, capsys):
    fill(QUICKSTART)
    assert registry_to_read(None).uri == str(here / QUICKSTART)
    assert capsys.readouterr().err.startswith(f"registry: {QUICKSTART} (")


def test_a_named_registry_is_taken_even_where_it_is_empty(here, monkeypatch, capsys):
    fill(QUICKSTART)
    assert registry_to_read("mine").uri == str(here / "mine")
    monkeypatch.setenv(REGISTRY_VARIABLE, "theirs")
    assert registry_to_read(None).uri == str(here / "theirs")
    assert capsys.readouterr().err == ""


def test_without_any_model_the_reader_gets_the_empty_home_registry(here):
    store = registry_to_read(None)
    assert store.uri == str(here / "home" / "registry")
    assert "holds no model yet" in store.when_empty()
    assert "models register --run RUN --dataset DATASET" in store.when_empty()


def test_a_writer_keeps_to_the_home_registry_and_its_refusal_names_the_other(here):
    model = fill(QUICKSTART)
    advice = f"{QUICKSTART} has {model}: add --registry {QUICKSTART}"
    with pytest.raises(ContractError, match=advice), registry_to_change(None, model) as store:
        store.resolve(model)
    assert store.uri == str(here / "home" / "registry")
    with pytest.raises(LimitError, match="challenger: add"), registry_to_change(None, "challenger") as store:
        store.rollback("challenger", reason="back")


def test_a_writers_other_refusals_are_left_as_they_are(here):
    model = fill(here / "home" / "registry")
    fill(QUICKSTART)
    with pytest.raises(ContractError, match=r"^no$"), registry_to_change(None, model):
        raise ContractError("no")
    with pytest.raises(ContractError, match=r"^no$"), registry_to_change("mine", model):
        raise ContractError("no")


def test_a_next_command_names_the_registry_that_this_one_was_given():
    assert registry_words("r") == ("--registry", "r")
    assert registry_words(None) == ()


def test_a_name_that_is_not_there_is_refused_with_what_is_near_or_there(here):
    model = fill(QUICKSTART)
    store = Registry(QUICKSTART)
    assert "did you mean challenger?" in store.lacks("chalenger")
    assert f"has no model or alias 'champion'; the challenger is {model}" in store.lacks("champion")
