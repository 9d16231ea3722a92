"""At most MOST files of the product execute code for one warm POST /v1/decide, its recording included.

Counted by the interpreter's profile, not by eye; kernels, which it does not see, are counted with every
kernel that is compiled into them. The request goes all the way: packed numbers, prices of exclusive markets,
no tier sure before the last, a challenger beside the answers.
"""

import asyncio
import hashlib
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import httpx
import pytest
from made.registry_models import DATASET, made_policy, made_record
from numba.core.dispatcher import Dispatcher

import kalshi_platform
from kalshi_platform.domain.timing import CallTimes
from kalshi_platform.models.registry.export import export_weights
from kalshi_platform.models.registry.record import WEIGHTS_NAME
from kalshi_platform.models.registry.store import CHALLENGER, CHAMPION, Registry
from kalshi_platform.models.registry.tiers import TierRecord, TierSet, add_tier_set
from kalshi_platform.serving.guard import candidate
from kalshi_platform.serving.guard.guard import ModelGuard
from kalshi_platform.serving.inference import ready
from kalshi_platform.serving.inference.export import export_forms
from kalshi_platform.serving.server.args import PolicyAppArgs
from kalshi_platform.serving.server.http import make_app
from kalshi_platform.serving.server.observability import Observability
from kalshi_platform.serving.server.service import Service
from kalshi_platform.serving.server.warming import rehearse

pytestmark = pytest.mark.usefixtures("one_torch_thread")
#: Two of them are the rules and the planning of orders, which evaluation and replay share with a request;
#: a third is the rule where tier 3 is asked (inference/hop.py), which the report of tiers shares; a fourth
#: keys probabilities by action (domain/actions.py), alike for HTTP and the stream; a fifth checks the name
#: by which a browser asked (server/hosts.py); a sixth bounds bodies on their way (server/arrivals.py);
#: two are the compiled form of networks beside ONNX (inference/engine_compiled.py, network_kernels.py).
MOST = 28
PACKAGE = Path(kalshi_platform.__file__).parent
TOKEN = "client-token-of-tests"


class Files:
    """The product's files of every function and kernel that is called inside the block."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            self.add(frame.f_code.co_filename)

    def add(self, file: str) -> None:
        if Path(file).is_relative_to(PACKAGE):
            self.names.add(str(Path(file).relative_to(PACKAGE)))

    def __enter__(self) -> "Files":
        modules = [m for name, m in sys.modules.items() if name.startswith("kalshi_platform.")]
        kernels = [(m, name, k) for m in modules for name, k in vars(m).items() if isinstance(k, Dispatcher)]
        told = [(module, name, self._told(kernel)) for module, name, kernel in kernels]
        self._patch = pytest.MonkeyPatch()
        for module, name, call in told:
            self._patch.setattr(module, name, call)
        sys.setprofile(self)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        self._patch.undo()

    def _told(self, kernel: Any) -> Any:
        files = kernel_files(kernel)

        def call(*arguments: Any) -> Any:
            for file in files:
                self.add(file)
            return kernel(*arguments)

        return call


def kernel_files(kernel: Any) -> set[str]:
    """Files of ``kernel`` and of the kernels that it calls."""
    code, names = kernel.py_func.__code__, kernel.py_func.__globals__
    called = [names.get(name) for name in code.co_names]  # a field may be named as the kernel itself
    inner = [each for each in called if isinstance(each, Dispatcher) and each is not kernel]
    return {code.co_filename}.union(*(kernel_files(each) for each in inner))


def registered(registry: Registry, seed: int) -> str:
    """Id of a model with three tiers, no group sure at the first two, each also as an ONNX file."""
    policies = {
        number: made_policy(level, seed + number)
        for number, level in enumerate(("tiny", "simple", "simple"), start=1)
    }
    model = registry.add(*made_record(policies[3]))
    files: dict[str, bytes] = {}
    tiers = []
    for number, policy in policies.items():
        forms, own = export_forms(policy, f"tier{number}")
        name = WEIGHTS_NAME if number == 3 else f"tier{number}.safetensors"
        files |= own | ({} if number == 3 else {name: export_weights(policy)})
        tiers.append(
            TierRecord(number=number, spec=policy.spec, weights=name, temperature=1.0, forms=forms,
                       exit_threshold=None if number == 3 else 0.999)
        )  # fmt: skip
    tier_set = TierSet(
        model=model.id, dataset_digest=DATASET, tiers=tuple(tiers), max_value_loss=0.01, machine="here",
        artefacts={name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
        created_at="2026-01-01T00:00:00+00:00",
    )  # fmt: skip
    add_tier_set(registry, tier_set, files)
    return model.id


@pytest.fixture(scope="module")
def registry(tmp_path_factory) -> Registry:
    """A champion and a challenger."""
    made = Registry(tmp_path_factory.mktemp("registry"))
    for alias, seed in ((CHAMPION, 0), (CHALLENGER, 10)):
        made.promote(alias, registered(made, seed), reason="the test's")
    return made


def all_the_way(example: dict[str, Any]) -> dict[str, Any]:
    """The example with prices of exclusive markets; the bids add up to less than a dollar: none is forced."""
    for market in example["groups"][0]["markets"]:
        market |= {"bid_e4": 1_000, "ask_e4": 1_200, "exclusive_set": "who wins"}
    return example


async def files_of(service: Service, later: list[Any]) -> tuple[set[str], set[str]]:
    """(Files up to the answer, files for what is recorded of it) of one warm request."""

    def record() -> None:
        while later:
            later.pop(0)()

    headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
    transport = httpx.ASGITransport(make_app(service))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers) as client:
        body = all_the_way((await client.get("/v1/example?packed=true")).json())
        for k in range(2):
            await client.post("/v1/decide", json={**body, "request_id": f"warm-{k}"})
            record()
            service.guard.active.policy.answers.clear()
        with Files() as before:
            answer = await client.post("/v1/decide", json={**body, "request_id": "counted"})
        with Files() as after:
            record()
    (group,) = answer.json()["groups"]
    assert (group["tier"], group["notes"]) == ("tier_3", [])
    return before.names, after.names


@pytest.mark.parametrize("elsewhere", [False, True], ids=["tier 3 here", "tier 3 in another process"])
def test_a_request_passes_few_files(registry, tmp_path, monkeypatch, elsewhere: bool):
    monkeypatch.setattr(candidate, "time_calls", lambda call, runs, min_runs: CallTimes(0.5, 1.0, 2.0, runs))
    monkeypatch.setattr(
        ready,
        "time_group",
        lambda engine, groups, runs: CallTimes(0.1 if engine.form == "onnx" else 1.0, 2.0, 3.0, runs),
    )
    (tmp_path / "tokens").write_text(TOKEN + "\n")
    args = PolicyAppArgs.parse(
        {
            "access": {"token_file": tmp_path / "tokens"}, "shadow": CHALLENGER, "deadline_ms": 60_000.0,
            "check": {"min_agreement": 0.0}, "tier_3_inside_ms": 0.0,
        }
    )  # fmt: skip
    observability, later = Observability(), []
    guard = ModelGuard(
        registry, args.guard, listener=observability.happened, compared=observability.metrics.shadow
    )
    guard.start()
    guard.follow_shadow()

    async def ask_tier_3(key, batch):
        return guard.active.policy.ask(3, batch, 0)

    service = Service(
        args, guard, ask_tier_3 if elsewhere else None, observability=observability, later=later.append
    )
    asyncio.run(rehearse(args, guard.active))
    up_to_the_answer, recorded = asyncio.run(files_of(service, later))
    guard.close()
    files = up_to_the_answer | recorded
    assert {"serving/server/http.py", "serving/server/reading.py", "domain/fees.py"} <= up_to_the_answer
    assert {"serving/server/observability.py", "serving/guard/shadow.py"} <= recorded
    print(f"{len(up_to_the_answer)} files to the answer, {len(files)} in all:", *sorted(files), sep="\n")
    assert len(files) <= MOST, sorted(files)
