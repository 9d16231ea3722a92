"""Tokens as text: one rule for who shows one and for who knows several."""

from pathlib import Path

import pytest

from kalshi_platform.domain.errors import ContractError
from kalshi_platform.serving.api.tokens import bearer, read_token, token_lines


def test_a_token_comes_from_its_file_else_from_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("# of the bot\n\n  of-the-file \n")
    assert read_token(file, {"KALSHI_PLATFORM_TOKEN": "of-the-environment"}) == "of-the-file"
    assert read_token(None, {"KALSHI_PLATFORM_TOKEN": " of-the-environment "}) == "of-the-environment"
    assert read_token(None, {"OTHER": "other"}, "OTHER") == "other"
    assert read_token(None, {}) is None
    assert read_token(None, {"KALSHI_PLATFORM_TOKEN": " "}) is None


@pytest.mark.parametrize(("text", "n"), [("two words", 2), ("one\nanother\n", 2), ("", 0), ("# none\n", 0)])
def test_a_place_without_exactly_one_token_is_refused(tmp_path: Path, text: str, n: int) -> None:
    (tmp_path / "token").write_text(text)
    with pytest.raises(ContractError, match=rf"file .*/token holds {n} words; expected one token alone"):
        read_token(tmp_path / "token")


def test_a_secret_that_is_refused_is_not_repeated() -> None:
    with pytest.raises(ContractError, match="environment variable KALSHI_PLATFORM_TOKEN holds 2") as refused:
        read_token(None, {"KALSHI_PLATFORM_TOKEN": "very secret"})
    assert "secret" not in str(refused.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="absent cannot be read"):
        read_token(tmp_path / "absent")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    with pytest.raises(ContractError, match="bytes cannot be read"):
        read_token(tmp_path / "bytes")


def test_lines_that_hold_no_token_are_passed_over() -> None:
    assert token_lines("a\n#b\n\n c \n") == ["a", "c"]


def test_a_token_is_shown_in_a_header_and_none_in_none() -> None:
    assert bearer("t") == {"Authorization": "Bearer t"}
    assert bearer(None) == {}
