"""Ray's switches: what a user sees of Ray, and whose handler of SIGTERM stays."""

import inspect
import logging
import shutil
import subprocess
from types import SimpleNamespace

import pytest

from kalshi_platform.domain import quiet_ray
from kalshi_platform.domain.errors import PlatformError
from kalshi_platform.domain.quiet_ray import ray_logs, start_ray


class FakeRay:
    """As much of Ray's module as the switches touch; ``init`` raises ``fails`` where there is one."""

    def __init__(self, fails: BaseException | None = None) -> None:
        self.options: dict[str, object] = {}
        self.is_down = False
        self.asked, self.absent = 0, 0  # questions for the node, and how many of them find none
        self.starts, self.fails_until = 0, 1_000
        self._fails = fails
        self._private = SimpleNamespace(
            ray_constants=SimpleNamespace(RAY_DISABLE_FAILURE_SIGNAL_HANDLER=False),
            utils=SimpleNamespace(set_sigterm_handler=None),
            worker=SimpleNamespace(print_to_stdstream=None, _global_node=None),
            services=SimpleNamespace(get_node=self.get_node),
        )

    def get_node(self, gcs_address: str, node_id: str) -> str:
        self.asked += 1
        if self.asked <= self.absent:
            raise RuntimeError("not there yet")
        return f"{node_id} at {gcs_address}"

    def init(self, **options: object) -> None:
        self.options = options
        self.starts += 1
        self.node = self._private.services.get_node("here", "one") if self.absent else ""
        if self._fails and self.starts < self.fails_until:
            raise self._fails

    def shutdown(self) -> None:
        self.is_down = True


@pytest.fixture(autouse=True)
def _token_in_the_environment(monkeypatch):
    monkeypatch.setenv("RAY_AUTH_TOKEN", "x")  # the file in this user's home is none of a test's business


@pytest.fixture
def package_log():
    log = logging.getLogger("kalshi_platform")
    yield log
    log.setLevel(logging.NOTSET)


def test_ray_is_started_here_or_joined_without_logs_on_the_terminal():
    ray = FakeRay()
    start_ray(ray, num_cpus=2)
    quiet = {"log_to_driver": False, "configure_logging": False}
    assert ray.options == {"address": "local", "num_cpus": 2, **quiet}
    start_ray(ray, "auto")
    assert ray.options == {"address": "auto", **quiet}
    assert ray._private.ray_constants.RAY_DISABLE_FAILURE_SIGNAL_HANDLER is True
    assert not ray.is_down


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ConnectionError("none here")])
def test_a_start_that_is_interrupted_or_fails_leaves_nothing_behind(error):
    ray = FakeRay(error)
    with pytest.raises(type(error)):
        start_ray(ray)
    assert ray.is_down
    assert ray.starts == 1


def test_where_rays_processes_do_not_come_up_it_is_said_in_a_sentence_with_the_place_of_the_logs():
    ray = FakeRay(Exception("The current node timed out during startup."))
    with pytest.raises(PlatformError, match=r"Ray did not start: The current .* start again; .* in /tmp/ray"):
        start_ray(ray)
    assert ray.is_down
    assert ray.starts == 3


def test_a_ray_whose_processes_did_not_come_up_is_started_again_and_that_is_told(monkeypatch):
    said: list[str] = []
    monkeypatch.setattr(quiet_ray, "program", lambda: said.append)
    ray = FakeRay(Exception("The current node timed out during startup."))
    ray.fails_until = 2
    start_ray(ray)
    assert ray.starts == 2
    assert said == ["Ray did not start: The current node timed out during startup. Try 2 of 3."]


@pytest.mark.parametrize(("address", "wanted"), [("auto", True), ("local", False)])
def test_a_ray_that_is_joined_or_no_longer_wanted_is_not_started_again(address, wanted):
    ray = FakeRay(Exception("The current node timed out during startup."))
    with pytest.raises(PlatformError):
        start_ray(ray, address, wanted=lambda: wanted)
    assert ray.starts == 1


@pytest.fixture
def raylet(tmp_path):
    """A process of the name that Ray's own has."""
    program = tmp_path / "raylet"
    program.symlink_to(shutil.which("sleep"))
    process = subprocess.Popen([program, "600"])
    yield process
    process.kill()
    process.wait()


def test_a_raylet_that_lives_is_waited_for_longer_than_ray_does(raylet):
    ray = FakeRay()
    ray.absent = 3
    start_ray(ray)
    assert (ray.node, ray.asked) == ("one at here", 4)
    assert ray._private.services.get_node == ray.get_node


def test_a_raylet_that_is_dead_or_does_not_come_up_in_time_is_not_waited_for(raylet, monkeypatch):
    ray = FakeRay()
    ray.absent = 1_000_000
    monkeypatch.setattr(quiet_ray, "_START_S", 0.3)
    with pytest.raises(RuntimeError, match="not there yet"):
        start_ray(ray)
    assert ray.asked > 1
    monkeypatch.setattr(quiet_ray, "_START_S", 600.0)
    with pytest.raises(RuntimeError, match="not there yet"):
        start_ray(ray, wanted=lambda: False)
    raylet.kill()  # and nobody has taken note of its end
    ray.asked = 0
    with pytest.raises(RuntimeError, match="not there yet"):
        start_ray(ray)


def test_warnings_and_lines_of_the_raylet_come_with_verbose_only_and_never_on_stdout(
    package_log, caplog, capsys
):
    ray = FakeRay()
    start_ray(ray)
    data = {"lines": ["infinite retries remaining"], "pid": "raylet", "is_err": False}
    assert not logging.getLogger("ray").isEnabledFor(logging.WARNING)
    assert logging.getLogger("ray").isEnabledFor(logging.ERROR)
    ray._private.worker.print_to_stdstream(data, ignore_prefix=False)
    assert caplog.messages == []
    package_log.setLevel(logging.DEBUG)
    start_ray(ray)
    assert logging.getLogger("ray").isEnabledFor(logging.WARNING)
    ray._private.worker.print_to_stdstream(data, ignore_prefix=False)
    assert caplog.messages == ["ray: infinite retries remaining"]
    assert capsys.readouterr().out == ""


def test_a_failure_can_name_the_folder_of_rays_logs():
    ray = FakeRay()
    assert ray_logs(ray) == "/tmp/ray"
    ray._private.worker._global_node = SimpleNamespace(get_logs_dir_path=lambda: "/tmp/ray/session_1/logs")
    assert ray_logs(ray) == "/tmp/ray/session_1/logs"


def test_every_switch_is_one_that_the_installed_ray_has():
    ray = pytest.importorskip("ray")
    assert isinstance(ray._private.ray_constants.RAY_DISABLE_FAILURE_SIGNAL_HANDLER, bool)
    assert callable(ray._private.utils.set_sigterm_handler)
    assert callable(ray._private.worker.print_to_stdstream)
    assert hasattr(ray._private.worker, "_global_node")
    assert list(inspect.signature(ray._private.services.get_node).parameters) == ["gcs_address", "node_id"]
    assert quiet_ray.ray_logs(ray).startswith("/tmp/ray")
