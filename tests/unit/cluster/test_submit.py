"""What ``cluster/submit.py`` sends and what it refuses, without a cluster."""

import http.server
import json
import shlex
import socketserver
import threading

import aiohttp
import pytest
import ray
import requests
from made.scripts import load_script

from kalshi_platform.domain.errors import ContractError

submit = load_script("cluster/submit.py")

HERE = "http://127.0.0.1:8265"


@pytest.fixture
def checkout(tmp_path):
    folder = tmp_path / "checkout"
    for package in ("kalshi_platform", "tune_experiments", "runs", ".git", "tests"):
        (folder / package).mkdir(parents=True)
        (folder / package / "__init__.py").write_text("x = 1\n")
    (folder / "tune_experiments" / "curriculum_sweep.py").touch()
    (folder / "tune_experiments" / "reward_shaping.py").touch()
    (folder / "secrets.env").touch()
    return folder


@pytest.mark.parametrize(
    ("given", "environ", "expected"),
    [
        (HERE, {"RAY_ADDRESS": "http://localhost:1"}, HERE),
        (None, {"RAY_API_SERVER_ADDRESS": f"{HERE}/", "RAY_ADDRESS": "auto"}, HERE),
        (None, {"RAY_API_SERVER_ADDRESS": " ", "RAY_ADDRESS": "http://[::1]:8265"}, "http://[::1]:8265"),
        ("https://ray.example.org:443", {}, "https://ray.example.org:443"),
    ],
)
def test_the_address_is_the_option_then_the_jobs_variable_then_rays(given, environ, expected):
    assert submit.address_of(given, environ) == expected


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (None, "no address: --address, RAY_API_SERVER_ADDRESS and RAY_ADDRESS are empty"),
        ("ray://127.0.0.1:10001", "jobs go to the dashboard's http:// address"),
        ("auto", "jobs go to the dashboard's http:// address"),
        ("127.0.0.1:6379", "jobs go to the dashboard's http:// address"),
        ("http://127.0.0.1", "expected http://host:port"),
        ("http://127.0.0.1:99999", "expected http://host:port"),
        ("http://127.0.0.1:8265/api", "expected http://host:port"),
        ("http://me:pw@127.0.0.1:8265", "expected http://host:port"),
        ("http://10.0.0.7:8265", "plain http to another machine shows the token"),
    ],
)
def test_an_address_that_cannot_take_jobs_or_would_show_the_token_is_refused(given, said):
    with pytest.raises(ContractError, match=said):
        submit.address_of(given, {})


def test_plain_http_to_another_machine_needs_to_be_said():
    assert submit.address_of("http://ray-head:8265", {}, allow_remote=True) == "http://ray-head:8265"


def test_arguments_reach_the_experiment_as_they_were_given(checkout):
    made = submit.entrypoint_of("curriculum_sweep", ["--out", "a b", "--set", 'x="$y"'], checkout)
    assert made == "python -m tune_experiments.curriculum_sweep --out 'a b' --set 'x=\"$y\"'"


@pytest.mark.parametrize(
    "argument", ["; rm -rf ~", "$(id)", "`id`", "a'b\"c", "-x", "a\nb", "\u202e", "*", "&& true", "\\"]
)
def test_what_a_shell_would_read_reaches_the_experiment_as_text(checkout, argument):
    entrypoint = submit.entrypoint_of("curriculum_sweep", ["--set", argument], checkout)
    assert shlex.split(entrypoint) == ["python", "-m", "tune_experiments.curriculum_sweep", "--set", argument]


@pytest.mark.parametrize(
    ("argument", "said"),
    [("a\0b", "no command line can carry"), ("\udcff", "no command line can carry"),
     ("x" * 200_000, "at most 100,000")],
)  # fmt: skip
def test_an_argument_that_no_job_could_be_started_with_is_refused(checkout, argument, said):
    with pytest.raises(ContractError, match=said) as refused:
        submit.entrypoint_of("curriculum_sweep", ["--set", argument], checkout)
    assert len(str(refused.value)) <= 500


@pytest.mark.parametrize("text", ["A=x\0y", "A=\udcff"])
def test_a_variable_that_no_environment_can_carry_is_refused(text):
    with pytest.raises(ContractError, match="no environment can carry"):
        submit.env_of([text])


@pytest.mark.parametrize(
    "name", ["curriculum", "__init__", "../evil", "tune_experiments.curriculum_sweep", ""]
)
def test_an_unknown_experiment_is_refused_with_those_there_are(checkout, name):
    with pytest.raises(ContractError, match="there are: curriculum_sweep, reward_shaping"):
        submit.entrypoint_of(name, [], checkout)


def test_only_what_a_job_imports_is_uploaded(checkout):
    from ray._private.runtime_env.packaging import _dir_travel, _get_excludes

    sent = []
    excludes = [_get_excludes(checkout, list(submit.excludes_of(checkout)))]
    _dir_travel(
        checkout, excludes, lambda p: sent.append(p.name) if p.is_file() else None, include_gitignore=True
    )
    assert sorted(sent) == ["__init__.py", "__init__.py", "curriculum_sweep.py", "reward_shaping.py"]


def test_a_checkout_with_data_inside_a_package_is_refused_with_the_file(checkout, monkeypatch):
    assert (
        submit.check_size(checkout) == 12
    )  # two __init__.py of six bytes; runs, tests and .git do not count
    (checkout / "kalshi_platform" / "__pycache__").mkdir()
    (checkout / "kalshi_platform" / "__pycache__" / "a.pyc").write_bytes(bytes(3000))
    (checkout / "kalshi_platform" / "dump.bin").write_bytes(bytes(2000))
    monkeypatch.setattr(submit, "MAX_UPLOAD_BYTES", 2000)
    with pytest.raises(ContractError, match=r"largest: kalshi_platform/dump\.bin"):
        submit.check_size(checkout)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("AWS_SECRET_ACCESS_KEY=x", "the dashboard shows"),
        ("GITHUB_TOKEN=x", "the dashboard shows"),
        ("NAME", "expected NAME=value"),
        ("1A=x", "expected NAME=value"),
    ],
)
def test_secrets_and_nonsense_are_no_variables_of_a_job(text, said):
    with pytest.raises(ContractError, match=said):
        submit.env_of([text])


def test_variables_keep_equal_signs_of_their_values():
    assert submit.env_of(["MLFLOW_TRACKING_URI=http://mlflow:5000/?a=b"]) == {
        "MLFLOW_TRACKING_URI": "http://mlflow:5000/?a=b"
    }


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        ("SUCCEEDED", 0, 0),
        ("FAILED", 4, 4),
        ("FAILED", None, 1),
        ("FAILED", -9, 1),
        ("FAILED", 0, 1),
        ("STOPPED", None, 1),
    ],
)
def test_the_exit_status_is_the_jobs(status, code, expected):
    assert submit.exit_status_of(status, code) == expected


def test_a_dry_run_tells_what_would_be_sent(checkout, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("RAY_AUTH_TOKEN", "abc123")
    words = ["curriculum_sweep", "--address", HERE, "--working-dir", str(checkout), "--dry-run", "--json"]
    assert submit.main([*words, "--", "--smoke", "--json"]) == 0
    told = capsys.readouterr().out
    assert json.loads(told)["entrypoint"] == "python -m tune_experiments.curriculum_sweep --smoke --json"
    assert "/runs" in json.loads(told)["excludes"]
    assert "abc123" not in told


def test_no_auth_is_for_this_machine_only(checkout, capsys):
    words = ["curriculum_sweep", "--address", "https://ray.example.org:443", "--no-auth"]
    assert submit.main([*words, "--working-dir", str(checkout)]) == 2
    assert "only for a cluster on this machine" in capsys.readouterr().err


@pytest.fixture
def dashboard():
    """A stand-in for the dashboard: asks for ``token`` where there is one, and tells ``version``."""
    state = {"token": "right", "version": {"ray_version": ray.__version__}}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            given = self.headers.get("Authorization")
            wanted = state["token"] and f"Bearer {state['token']}"
            self.send_response(200 if wanted is None or given == wanted else 403 if given else 401)
            self.end_headers()
            self.wfile.write(json.dumps(state["version"]).encode())

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", state
        server.shutdown()
        thread.join()


def test_a_cluster_with_the_same_ray_and_token_is_accepted(dashboard):
    url, state = dashboard
    assert submit.check_cluster(url, "right") == ray.__version__
    state["token"] = None
    assert submit.check_cluster(url, None) == ray.__version__


def test_clusters_that_must_not_be_given_a_job(dashboard, monkeypatch):
    url, state = dashboard
    with pytest.raises(ContractError, match=r"the token was refused \(403\)"):
        submit.check_cluster(url, "wrong")
    with pytest.raises(ContractError, match="asks for a token"):
        submit.check_cluster(url, None)
    state["version"] = {"ray_version": "2.9.0"}
    with pytest.raises(ContractError, match=r"runs Ray 2\.9\.0, this machine"):
        submit.check_cluster(url, "right")
    state["version"] = ["something else"]
    with pytest.raises(ContractError, match="not as a Ray dashboard does"):
        submit.check_cluster(url, "right")
    monkeypatch.setattr(json, "dumps", lambda value: "[" * 99_000)  # what the stand-in answers with
    with pytest.raises(ContractError, match="not as a Ray dashboard does"):
        submit.check_cluster(url, "right")
    state["token"] = None
    with pytest.raises(ContractError, match="takes jobs without a token"):
        submit.check_cluster(url, "right")


def test_an_address_where_nothing_listens_is_refused_with_what_to_do():
    with pytest.raises(ContractError, match=r"no answer .* is the cluster up, and the tunnel open"):
        submit.check_cluster("http://127.0.0.1:9", "right")


@pytest.mark.parametrize(
    "error",
    [
        requests.ConnectionError("connection aborted"),
        requests.ReadTimeout("read timed out"),
        aiohttp.ServerDisconnectedError("disconnected"),
        RuntimeError("the job's log ended"),
    ],
)
def test_a_cluster_that_leaves_in_the_middle_is_one_line(checkout, monkeypatch, capsys, error):
    def leaves(*given, **options):
        raise error

    monkeypatch.setattr(submit, "submit", leaves)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "made")
    words = ["curriculum_sweep", "--address", "http://127.0.0.1:9", "--working-dir", str(checkout)]
    assert submit.main(words) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"submit: the cluster refused or left: {error}; where its head was lost")


@pytest.mark.parametrize(
    "assignment",
    [
        "WANDB_API_KEY=x",
        "KALSHI_KEY=x",
        "SSH_PASSPHRASE=x",
        "DB_PWD=x",
        "MLFLOW_TRACKING_URI=https://a:sesame@h/x",
        "R=redis://me:12345,sesame@host:6379",
        "R=redis://me:2024:sesame@h",
        "R=redis://me:12345#sesame@h",
        "R=redis://me:123/sesame@h",
    ],
)
def test_what_the_dashboard_would_show_of_a_secret_is_refused_without_showing_it(assignment):
    with pytest.raises(ContractError, match="the dashboard shows what a job is given") as caught:
        submit.env_of([assignment])
    assert "sesame" not in str(caught.value)


def test_a_password_in_an_address_among_the_arguments_is_refused_by_its_number(tmp_path):
    (tmp_path / "tune_experiments").mkdir()
    (tmp_path / "tune_experiments" / "sweep.py").touch()
    words = ["--storage", "s3://bucket/a@b:c", "--tracking", "postgresql://me:sesame@host/db"]
    with pytest.raises(ContractError, match="argument 4 after --: holds a password") as caught:
        submit.entrypoint_of("sweep", words, tmp_path)
    assert "sesame" not in str(caught.value)
    assert "s3://bucket/a@b:c" in submit.entrypoint_of("sweep", words[:3], tmp_path)


@pytest.mark.parametrize("value", ["/srv:/data:/mnt/store@v2", "/a:/b:/c@d", "models:/kalshi@champion"])
def test_lists_of_folders_and_names_of_models_are_given(value):
    assert submit.env_of([f"P={value}"]) == {"P": value}


def test_names_that_only_sound_like_secrets_are_given():
    assert submit.env_of(["MONKEY=1", "KEYS_FILE_COUNT=2", "COMPASS=n"]) == {
        "MONKEY": "1", "KEYS_FILE_COUNT": "2", "COMPASS": "n",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("http://me:sesame@127.0.0.1:8265", "http://...@127.0.0.1:8265"),
        ("http://me:open/sesame@host:8265", "http://...@host:8265"),
        ("http://sesame@host:8265", "http://...@host:8265"),
        ("redis://me:sesame@host:6379", "redis://...@host:6379"),
        ("me:sesame@host:8265", "...@host:8265"),
    ],
)
@pytest.mark.parametrize("name", ["--address", "RAY_ADDRESS"])
def test_a_password_in_the_address_is_not_repeated(given, shown, name):
    with pytest.raises(ContractError, match=name) as caught:
        submit.address_of(given if name == "--address" else None, {"RAY_ADDRESS": given})
    assert "sesame" not in str(caught.value)
    assert shown in str(caught.value)


@pytest.fixture
def ssh():
    """Address of a server that speaks no HTTP."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            self.request.recv(1000)
            self.request.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_a_server_that_is_no_dashboard_is_refused_in_words(ssh, checkout, monkeypatch, capsys):
    monkeypatch.setenv("RAY_AUTH_TOKEN", "made")
    for address in (ssh, "https://a..b:8265", "https://a b:8265"):
        words = ["curriculum_sweep", "--address", address, "--working-dir", str(checkout)]
        assert submit.main(words) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"submit: {address}/api/version: ")
        assert line.endswith("is it another server?")
