"""Trade with the model of `make run` at a simulated exchange, on paper or with orders; compare the account.

Run    python examples/trade_simulated.py FOLDER [--mode paper] [--minutes 10] [--registry DIR] [--plain]
       On a terminal the session has a screen (q ends it, ? tells the keys); with --plain it says lines and
       Ctrl-C ends it. Its report and the comparison follow either way.
Makes  FOLDER/keys, FOLDER/exchange.log, FOLDER/MODE: recording, report.html, report.json, the ledger, ...
       A further session lies in FOLDER/MODE-2, ...: its exchange is new.
Ends   with exit code 4 where the account differs: in mode paper from the replay of the session's recording
       (1e-6 dollar), in mode simulated from the server's (cash to a cent, positions, no order left). Other
       codes are those of the session.
Real   kalshi-platform trade takes the same options with a real key, without --rest-url and --stream-url.
"""

import argparse
import json
import subprocess
import sys
import urllib.request
from itertools import count
from pathlib import Path
from typing import Any

from record_simulated import PROGRAM, SERIES, run_to_its_end, start_exchange, stop_exchange

from kalshi_platform.domain.ending import INTERRUPTED
from kalshi_platform.domain.errors import ExitCode
from kalshi_platform.models.registry.store import Registry

CENT_E6 = 10_000


def server_account(addresses: dict[str, str]) -> dict[str, Any]:
    """Account as the simulated exchange has it: cash by shard, positions, resting orders, payments."""
    request = urllib.request.Request(
        f"{addresses['admin']}/truth", headers={"Authorization": f"Bearer {addresses['token']}"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        account: dict[str, Any] = json.load(answer)["account"]
        return account


def new_folder(folder: Path, mode: str) -> Path:
    """Folder of a session that is not there yet: FOLDER/MODE, FOLDER/MODE-2, ..."""
    names = (mode if n == 1 else f"{mode}-{n}" for n in count(1))
    return next(folder / name for name in names if not (folder / name).exists())


def main() -> int:
    """Trade, report, compare; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--mode", choices=("paper", "simulated"), default="paper")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--speed", type=float, default=1.0, help="simulated seconds a second")
    parser.add_argument("--registry", default="runs/quickstart/registry")
    parser.add_argument("--plain", action="store_true", help="lines, also on a terminal")
    asked = parser.parse_args()
    if Registry(asked.registry).is_empty:
        print(f"{asked.registry} holds no model: `make run` trains and registers one", file=sys.stderr)
        return ExitCode.USAGE
    try:
        return trade(asked)
    except KeyboardInterrupt:
        print("interrupted before the session began", file=sys.stderr)
        return INTERRUPTED


def trade(asked: argparse.Namespace) -> int:
    """Start the exchange, trade at it until the session ends, compare; returns the exit code."""
    asked.folder.mkdir(parents=True, exist_ok=True)
    keys, session = asked.folder / "keys", new_folder(asked.folder, asked.mode)
    if not keys.exists():
        words = [*PROGRAM, "simexchange", "keys", "--out", str(keys)]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    name = "reader" if asked.mode == "paper" else "ed25519"
    key = next(k for k in json.loads((keys / "keys.json").read_text()) if k["name"] == name)
    secrets = {"KALSHI_API_KEY_ID": key["key_id"], "KALSHI_PRIVATE_KEY_FILE": str(keys / f"{name}.pem")}
    print(f"1 of 3: the simulated exchange starts, with keys of its own in {keys}", flush=True)
    print("        (the first time it compiles for two minutes)", flush=True)
    exchange, addresses = start_exchange(keys, asked.speed, wanted=4)
    view = ["--plain"] if asked.plain else []  # else the screen where this is a terminal
    words = [word for series in SERIES for word in ("--series", series)]
    try:
        print(
            f"2 of 3: the session gets ready (the first time it compiles for some minutes), then trades for "
            f"{asked.minutes:g} minutes",
            flush=True,
        )
        code = run_to_its_end(
            "trade", "--mode", asked.mode, *words, "--out", str(session), *view,
            "--registry", asked.registry, "--minutes", str(asked.minutes),
            "--rest-url", addresses["REST"], "--stream-url", addresses["WebSocket"],
            environment=secrets,
        )  # fmt: skip
        if code:
            return code  # the session said why
        account = server_account(addresses) if asked.mode == "simulated" else None
    finally:
        stop_exchange(exchange)
    report = json.loads((session / "report.json").read_text())
    if account is None:
        return compare_with_replay(report)
    snapshot = json.loads((session / ".session" / "snapshot.json").read_text())
    held = {m["ticker"]: m["position_e2"] for m in snapshot["markets"] if m["position_e2"]}
    return compare_with_server(report["ended"]["cash_e6"], held, account)


def compare_with_replay(report: dict[str, Any]) -> int:
    """Say how a paper session's account compares with that of its replay; returns the exit code."""
    worst = max(abs(value) for value in report["difference_e6"].values())
    words = "the same to 1e-6 $" if worst == 0 else f"different by up to {worst / 1e6:.6f} $"
    print(f"3 of 3: the account of the session and of its recording played again are {words}", flush=True)
    return ExitCode.DONE if worst == 0 else ExitCode.LIMIT


def compare_with_server(cash_e6: int, held_e2: dict[str, int], account: dict[str, Any]) -> int:
    """Say how a session's cash and positions compare with the exchange's account; returns the exit code.

    The exchange went on while the report was written: what it paid meanwhile for positions that the session
    still held is taken back.
    """
    paid_e6 = {s["ticker"]: s["revenue_e6"] for s in account["settlements"] if s["ticker"] in held_e2}
    there_e6 = sum(account["cash_e6"]) - sum(paid_e6.values())
    same = {t: n for t, n in held_e2.items() if t not in paid_e6} == account["positions_e2"]
    resting, apart_e6 = len(account["resting"]), cash_e6 - there_e6
    print(
        f"3 of 3: cash of the session {cash_e6 / 1e6:.6f} $, of the exchange {there_e6 / 1e6:.6f} $, "
        f"difference {apart_e6 / 1e6:+.6f} $; {len(held_e2)} positions, "
        f"{'the same' if same else 'others'} there; {resting} orders rest there",
        flush=True,
    )
    equal = same and not resting and abs(apart_e6) < CENT_E6
    return ExitCode.DONE if equal else ExitCode.LIMIT


if __name__ == "__main__":
    sys.exit(main())
