"""One message an error, and exit codes a script can rely on."""

import errno
import sys
import types

import pytest
import typer
from typer.testing import CliRunner

from kalshi_platform.cli import main, refusal
from kalshi_platform.cli.refusal import going_on
from kalshi_platform.domain.ending import Terminated
from kalshi_platform.domain.errors import ContractError, DataError, LimitError, StorageError, TrainingError


def run_raising(monkeypatch: pytest.MonkeyPatch, error: BaseException):
    """The outcome of a command whose body raises ``error``."""
    sub = typer.Typer()

    @sub.command()
    def fail() -> None:
        raise error

    monkeypatch.setitem(sys.modules, "kalshi_platform.cli.doctor", types.SimpleNamespace(app=sub))
    return CliRunner().invoke(main.app, ["doctor"])


@pytest.mark.parametrize(
    ("error", "code"),
    [(DataError, 3), (ContractError, 2), (StorageError, 3), (LimitError, 4), (TrainingError, 1)],
)
def test_a_deliberate_error_is_one_line_on_stderr_and_its_exit_code(monkeypatch, error, code):
    outcome = run_raising(monkeypatch, error("price 10100 outside 0..10000 [in a.parquet]"))
    assert outcome.exit_code == code
    assert outcome.stderr == "kalshi-platform: price 10100 outside 0..10000 [in a.parquet]\n"
    assert outcome.stdout == ""


def test_an_error_from_a_ray_task_shows_its_cause_not_the_remote_stack_trace(monkeypatch):
    class RemoteDataError(DataError):
        """What Ray raises: our class mixed with its own, the stack trace in the message."""

        cause = DataError("a.gz is truncated")

    outcome = run_raising(monkeypatch, RemoteDataError("ray::task() ... Traceback ..."))
    assert (outcome.exit_code, outcome.stderr) == (3, "kalshi-platform: a.gz is truncated\n")


def test_interruption_exits_like_a_signalled_process(monkeypatch):
    outcome = run_raising(monkeypatch, KeyboardInterrupt())
    assert outcome.exit_code == 130
    assert "interrupted" in outcome.stderr


def test_sigterm_exits_like_a_terminated_process_and_says_how_to_go_on(monkeypatch):
    outcome = run_raising(monkeypatch, Terminated("continue with --resume"))
    assert outcome.exit_code == 143
    assert outcome.stderr == "kalshi-platform: ended by SIGTERM: continue with --resume\n"


@pytest.mark.parametrize("kind", [KeyboardInterrupt, Terminated])
def test_an_interrupted_block_adds_its_advice_and_keeps_the_kind_of_end(kind):
    with pytest.raises(kind, match="repeat the command") as caught, going_on(lambda: "repeat the command"):
        raise kind
    assert type(caught.value) is kind


def test_a_full_disk_is_a_message_and_other_system_errors_are_not_hidden(monkeypatch):
    outcome = run_raising(monkeypatch, OSError(errno.ENOSPC, "No space left on device", "/data/x"))
    assert outcome.exit_code == 3
    assert "/data/x" in outcome.stderr
    bug = run_raising(monkeypatch, OSError(errno.EBADF, "Bad file descriptor"))
    assert isinstance(bug.exception, OSError)


@pytest.mark.parametrize(
    "error", [RuntimeError("of Ray"), DataError("a process is gone"), OSError(32, "broken")]
)
def test_an_error_that_the_signal_causes_is_told_as_the_signal(monkeypatch, error):
    """Compiled code and Ray make another error of the exception that a signal raises."""
    monkeypatch.setattr(refusal, "sigterm_came", lambda: True)
    outcome = run_raising(monkeypatch, error)
    assert (outcome.exit_code, outcome.stderr) == (143, "kalshi-platform: ended by SIGTERM\n")


def test_a_name_that_the_system_refuses_is_refused_and_shown_in_short(monkeypatch):
    outcome = run_raising(monkeypatch, OSError(errno.ENAMETOOLONG, "File name too long", "x" * 9_000))
    assert outcome.exit_code == 2
    assert "cannot be used (File name too long): name another place" in outcome.stderr
    assert len(outcome.stderr) < 300


def test_other_errors_of_the_system_keep_their_trace(monkeypatch):
    outcome = run_raising(monkeypatch, OSError(errno.EIO, "Input/output error", "/a"))
    assert isinstance(outcome.exception, OSError)


@pytest.mark.parametrize(
    "words",
    [
        ["models", "list", "--registry", "https://K:sesame@minio.example/bucket"],
        ["dataset", "info", "S3://K:sesame@bucket/x"],
        ["trade", "--mode", "paper", "--out", "x", "--rest-url", "ftp://me:open/sesame@host/x"],
        ["trade", "--mode", "paper", "--out", "x", "--stream-url", "http://me:sesame@host/x"],
        ["record", "--series", "A", "--out", "x", "--rest-url", "http://me:open/sesame@host/x"],
        ["record", "--series", "A", "--out", "x", "--rest-url", "http://a..b/sesame@x"],
        ["record", "--series", "A", "--out", "x", "--stream-url", "wss://me:sesame@host/x"],
        ["evaluate", "--run", "s3://K:sesame@bucket/x", "--dataset", "none"],
        ["plan", "--machine", "redis://me:sesame@host"],
        ["plan", "--markets", "redis://me:sesame@host"],
    ],
)
def test_no_refusal_repeats_a_password(words):
    done = CliRunner().invoke(main.app, words)
    assert done.exit_code in (2, 3), done.output
    assert "sesame" not in done.output
