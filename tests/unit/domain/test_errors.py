"""The error tree: each error's exit code is what its documentation promises."""

import re

import pytest

from kalshi_platform.domain import errors
from kalshi_platform.domain.errors import ExitCode, PlatformError

CLASSES = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, PlatformError)]
DRAWN = dict(re.findall(r"^ +(\w+) .*\(exit (\d)\)$", errors.__doc__ or "", re.MULTILINE))


def test_the_drawn_tree_names_every_error_but_the_root():
    assert set(DRAWN) == {c.__name__ for c in CLASSES} - {"PlatformError"}


@pytest.mark.parametrize("error", [c for c in CLASSES if c is not PlatformError])
def test_the_exit_code_is_the_drawn_one(error):
    assert error.exit_code == int(DRAWN[error.__name__])


def test_exit_codes_are_those_of_the_design():
    # README: 0 done, 2 usage, 3 data refused, 4 a gate or limit said no
    assert [int(c) for c in ExitCode] == [0, 1, 2, 3, 4]
    assert (ExitCode.USAGE, ExitCode.DATA_REFUSED, ExitCode.LIMIT) == (2, 3, 4)


def test_a_checksum_error_is_a_data_error():
    assert issubclass(errors.ChecksumError, errors.DataError)
