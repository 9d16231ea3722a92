"""Health of the Ray node in this container or pod; standard library only, exit status 0 or 1.

    python healthz.py auto    the raylet, where one should run; without a Ray node there is nothing to ask
    python healthz.py node    the raylet of this node
    python healthz.py head    the raylet, and the cluster's control store through the dashboard
    python healthz.py serve   the raylet, and a decision of every tier through the Serve proxy

The paths asked answer without the cluster's token. ``ray start --block`` ends with its raylet and the
container with it; these checks find the raylet that lives and does not answer, not what a job computes.

``serve`` asks /v1/readyz: /-/healthz of the proxy says success as soon as a replica's port is open, while its
tiers may still be loading or no longer answer.
"""

import http.client
import sys
import urllib.error
import urllib.request
from pathlib import Path

RAYLET = "http://127.0.0.1:52365/api/local_raylet_healthz"
CONTROL_STORE = "http://127.0.0.1:8265/api/gcs_healthz"
SERVE_READY = "http://127.0.0.1:8000/v1/readyz"
CHECKS = {
    "auto": (RAYLET,),
    "node": (RAYLET,),
    "head": (RAYLET, CONTROL_STORE),
    "serve": (RAYLET, SERVE_READY),
}
#: What a healthy answer holds, without blanks.
SAYS = {SERVE_READY: '"ready":true'}
#: Two questions fit into the 8 s that images and pods allow.
TIMEOUT_S = 3.0


def problem_of(url: str) -> str | None:
    """Problem with the answer at ``url``, or None."""
    wanted = SAYS.get(url, "success")
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
            text = answer.read(4096).decode(errors="replace")
    except urllib.error.HTTPError as error:
        return f"{url}: {error}: {error.read(200).decode(errors='replace')}"
    except (OSError, http.client.HTTPException) as error:
        return f"{url}: {error}"
    return None if wanted in "".join(text.split()) else f"{url}: answered {text[:200]!r}, not {wanted}"


def is_ray_node(processes: Path = Path("/proc")) -> bool:
    """True where the container's first processes are a Ray node (``ray start``)."""
    for command_line in processes.glob("[0-9]*/cmdline"):
        try:
            words = command_line.read_bytes().split(b"\0")
        except OSError:  # the process ended meanwhile
            continue
        if any(word.endswith((b"/ray", b"/serve", b"/raylet")) for word in words[:2]):
            return True
    return False


def main(arguments: list[str]) -> int:
    """Print the problems of the role named in ``arguments``; returns the exit status."""
    if len(arguments) != 1 or arguments[0] not in CHECKS:
        print(f"healthz: role {arguments} is unknown; give one of {', '.join(CHECKS)}", file=sys.stderr)
        return 1
    if arguments[0] == "auto" and not is_ray_node():
        return 0
    problems = [problem for url in CHECKS[arguments[0]] if (problem := problem_of(url))]
    print("\n".join(problems) or "healthy")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
