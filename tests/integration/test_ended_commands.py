"""A sample of the signals drill: ended by SIGTERM, a command ends in words and leaves nothing half written.

``make signals-drill`` ends every command several times, and tells the seconds. Here the machine is shared:
the order of things is asserted (the signal, the words, an end, nobody left), and seconds only against a hang.
"""

import random
import signal
import time
from pathlib import Path

import pytest
from made.ending_scenes import Place
from made.recording_key import key_environment
from made.signalled import Signalled

pytestmark = pytest.mark.ray

#: What a command says when its work is done, where that comes right before its end.
LAST_WORDS = {"simulate": "simulated 60 events"}
#: Several times what a busy machine needs.
HANGS_S = 60.0
#: Of every kind one: without Ray, with it, until a signal, in a loop of asyncio.
SAMPLE = ("simulate", "dataset build", "train", "record", "simexchange serve")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ends")
    made = Place(folder)
    made.make(n_events=30, with_model=False)
    return made


def catches(pid: int, number: signal.Signals) -> bool:
    """True where process ``pid`` has a handler for the signal; a process that has ended has none."""
    status = Path(f"/proc/{pid}/status").read_text()
    (caught,) = (line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught, 16) >> (number - 1) & 1)


@pytest.mark.parametrize("name", SAMPLE)
def test_sigterm_at_a_drawn_moment_ends_a_command_in_words_and_leaves_nothing_half(name, place):
    scene = place.scenes()[name]()
    delay_s = random.Random(f"16:{name}").uniform(0.5, scene.usual_s)
    command = Signalled(scene.command, env=key_environment(place.folder))
    # Before the command's first line the interpreter has no words for a signal.
    while not catches(command.child.pid, signal.SIGTERM) and command.child.poll() is None:
        time.sleep(0.01)
    command.until("a line that no command says", delay_s)  # or until it ends by itself
    was_over = command.child.poll() is not None
    ended = command.end()
    assert ended.traceback == "", ended.said
    assert ended.left == (), ended.said
    may_be = (0,) if was_over else (143, 0)
    if name in LAST_WORDS and any(LAST_WORDS[name] in line for line in ended.said):
        may_be += (-signal.SIGTERM,)  # its work was done, and it was about to leave
    assert ended.status in may_be, ended.said
    if ended.status == 143:
        assert any("ended by SIGTERM" in line for line in ended.said), ended.said
    assert ended.took_s < HANGS_S
    scene.check()
