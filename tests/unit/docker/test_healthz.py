"""docker/healthz.py: what a container answers when it is asked whether it is well."""

import http.server
import re
import threading

import pytest
from made.scripts import ROOT, load_script

healthz = load_script("docker/healthz.py")


@pytest.fixture
def answering():
    """A server whose answer the test chooses: (url, dict with status and body)."""
    answer = {"status": 200, "body": b"success"}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(answer["status"])
            self.end_headers()
            self.wfile.write(answer["body"])

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/", answer
        server.shutdown()
        thread.join()


def test_a_node_is_healthy_only_where_it_says_success(answering):
    url, answer = answering
    assert healthz.problem_of(url) is None
    answer["body"] = b"starting"
    assert "not success" in healthz.problem_of(url)
    answer["status"] = 503
    assert "503" in healthz.problem_of(url)
    assert "refused" in healthz.problem_of("http://127.0.0.1:9/")


def test_a_server_is_healthy_only_where_its_tiers_answer(answering, monkeypatch):
    """The proxy's own /-/healthz says success while tiers still load: it is not asked."""
    url, answer = answering
    monkeypatch.setattr(healthz, "SAYS", {url: healthz.SAYS[healthz.SERVE_READY]})
    answer["body"] = b'{"ready": true, "model": "m"}'
    assert healthz.problem_of(url) is None
    answer["body"] = b'{"ready":false,"reason":"tier_3 does not answer"}'
    assert "tier_3 does not answer" in healthz.problem_of(url)
    answer["status"] = 503
    assert "503" in (said := healthz.problem_of(url))
    assert "tier_3 does not answer" in said
    assert healthz.CHECKS["serve"][-1].endswith("/v1/readyz")


def test_every_question_of_a_role_fits_into_the_time_that_images_allow():
    (allowed,) = set(re.findall(r"--timeout=(\d+)s", (ROOT / "docker/Dockerfile").read_text()))
    assert max(len(urls) for urls in healthz.CHECKS.values()) * healthz.TIMEOUT_S < int(allowed)


def test_an_unknown_role_is_unhealthy(capsys):
    assert healthz.main(["driver"]) == 1
    assert "auto, node, head, serve" in capsys.readouterr().err


def test_a_container_is_a_ray_node_where_ray_was_started(tmp_path):
    for number, line in ((1, b"tini\0--\0ray\0"), (7, b"python\0/opt/venv/bin/kalshi-platform\0train\0")):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "cmdline").write_bytes(line)
    assert not healthz.is_ray_node(tmp_path)
    (tmp_path / "9").mkdir()
    (tmp_path / "9" / "cmdline").write_bytes(b"/opt/venv/bin/python\0/opt/venv/bin/ray\0start\0")
    assert healthz.is_ray_node(tmp_path)
