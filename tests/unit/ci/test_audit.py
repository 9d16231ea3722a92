"""``.ci/audit``: an SBOM of the pins, what an advisory list says, and no verdict where it cannot be asked."""

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


class Osv(BaseHTTPRequestHandler):
    """An advisory list that knows something of numpy alone."""

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
        told = [{"vulns": [{"id": "GHSA-1"}]} if q["package"]["name"] == "numpy" else {} for q in asked]
        body = json.dumps({"results": told}).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def audit(out, url):
    return subprocess.run(
        [sys.executable, str(ROOT / ".ci" / "audit"), str(out)], capture_output=True, text=True, timeout=60,
        check=False, env={**os.environ, "OSV_URL": url, "no_proxy": "*"},
    )  # fmt: skip


@pytest.fixture
def osv():
    server = HTTPServer(("127.0.0.1", 0), Osv)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_pinned_version_with_an_advisory_is_named_and_ends_with_one(osv, tmp_path):
    done = audit(tmp_path, osv)
    assert done.returncode == 1, done.stderr
    assert "numpy==" in done.stdout
    assert ": GHSA-1" in done.stdout
    components = json.loads((tmp_path / "sbom.json").read_text())["components"]
    assert any(each["purl"].startswith("pkg:pypi/ray@") for each in components)
    assert len(components) > 100


def test_a_list_that_cannot_be_asked_decides_nothing(tmp_path):
    done = audit(tmp_path, "http://127.0.0.1:9")
    assert done.returncode == 77
    assert "NOT DECIDED" in done.stdout
    assert (tmp_path / "sbom.json").exists()
    assert not (tmp_path / "advisories.json").exists()
