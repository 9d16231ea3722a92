"""Every error raised on purpose, and what the caller does about it.

PlatformError
  DataError        the recording or dataset is wrong  -> refuse it, name the file and value   (exit 3)
    ChecksumError  bytes differ from the manifest     -> fetch the shard again or rebuild it  (exit 3)
  ContractError    the caller is wrong                -> fix the call or the config           (exit 2)
  StorageError     the object store or disk failed    -> check address, keys, free space      (exit 3)
  ExchangeError    the exchange refused or is away    -> see its words; is_passing: ask later (exit 1)
  LimitError       a gate or limit said no            -> nothing was done                     (exit 4)
  TrainingError    the sampler or learner failed      -> the run stopped; see its cause       (exit 1)
    WorkersLostError sampling processes died          -> continue from the last checkpoint    (exit 1)
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """Process exit codes of every command."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    DATA_REFUSED = 3
    LIMIT = 4


class PlatformError(Exception):
    """Base of every error this package raises on purpose; the message is for the user."""

    exit_code = ExitCode.FAILED


class DataError(PlatformError):
    """The recording or dataset is wrong; nothing was written."""

    exit_code = ExitCode.DATA_REFUSED


class ChecksumError(DataError):
    """A shard's bytes differ from what its manifest says."""


class ContractError(PlatformError):
    """The caller asked for something that cannot be: a bad value, an unknown name."""

    exit_code = ExitCode.USAGE


class StorageError(PlatformError):
    """The disk or object store could not be read or written."""

    exit_code = ExitCode.DATA_REFUSED


class ExchangeError(PlatformError):
    """The exchange refused a read, or could not be reached."""

    def __init__(
        self, message: str, *, status: int | None = None, code: str | None = None, is_passing: bool = False
    ) -> None:
        """status: of HTTP, None without an answer; code: the exchange's; is_passing: asking later may
        help."""
        super().__init__(message)
        self.status, self.code, self.is_passing = status, code, is_passing


class LimitError(PlatformError):
    """A gate or a limit said no; nothing was done."""

    exit_code = ExitCode.LIMIT


class TrainingError(PlatformError):
    """Sampling or learning failed; the run stopped at once."""


class WorkersLostError(TrainingError):
    """Sampling processes died without an error of their own.

    Somebody killed them, memory ran out, or their node was lost.
    """
