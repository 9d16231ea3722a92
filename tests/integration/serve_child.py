"""The application on a Ray of its own, in a process that a test starts: Ray reads its switches at import.

    python serve_child.py ARGS.json PORT METRICS_PORT      ARGS.json: PolicyAppArgs

Says ``ready`` once every tier answers; then takes commands from stdin, a line each, and answers in a line:
``kill NAME`` ends the process of that deployment's oldest replica, so that as many kills as replicas
leave none of them, whatever names their successors have; the end of stdin ends all. Nothing but the
answers comes on stdout: what Ray and its processes print goes to stderr.
"""

import os
import sys
from pathlib import Path
from typing import TextIO

from kalshi_platform.serving.server.args import PolicyAppArgs
from serve_deployments.front import FrontBounds
from serve_deployments.local import Running, switches


def note_replicas(seen: list[str]) -> set[str]:
    """Names of the replicas that are there; those that ``seen`` lacks are added at its end."""
    from ray.util import list_named_actors

    there = {a["name"] for a in list_named_actors(all_namespaces=True) if "#" in a["name"]}
    seen.extend(sorted(there.difference(seen)))
    return there


def kill(deployment: str, seen: list[str]) -> str:
    """Kill the replica of a deployment that was seen first; its actor's name."""
    import ray

    there = note_replicas(seen)
    name = next(name for name in seen if name in there and f"#{deployment}#" in name)
    ray.kill(ray.get_actor(name, namespace="serve"), no_restart=True)
    return str(name)


def own_channel() -> TextIO:
    """This process's stdout for its answers alone; from now on all others, Ray's too, write to stderr."""
    channel = os.fdopen(os.dup(1), "w", buffering=1)  # not inherited: its end is the end of this process
    os.dup2(2, 1)
    return channel


def main() -> None:
    answers = own_channel()
    args = PolicyAppArgs.model_validate_json(Path(sys.argv[1]).read_text())
    bounds = FrontBounds(**args.limits.proxy.model_dump())
    os.environ.update(switches("127.0.0.1", ha_proxy=True, bounds=bounds))
    with Running(args, "127.0.0.1", int(sys.argv[2]), int(sys.argv[3])) as running:
        print("ready", running.wait_ready(300), file=answers)
        seen: list[str] = []
        note_replicas(seen)
        for line in sys.stdin:
            print("killed", kill(line.split()[1], seen), file=answers)


if __name__ == "__main__":
    main()
