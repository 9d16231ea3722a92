"""Fuzz targets: settings from files and from ``--set``: refused by name, or equal when read again."""

import json

from made.fuzzing import FindingError, fuzz, refusal
from made.mutations import odd_bytes, odd_text

from kalshi_platform.cli.options import parse_assignments
from kalshi_platform.data.dataset.factors import read_factors
from kalshi_platform.data.dataset.split import SplitConfig
from kalshi_platform.data.market_data.importers.convert import _read_map
from kalshi_platform.domain.errors import ContractError
from kalshi_platform.evaluation.judging.evaluation import EvalConfig
from kalshi_platform.learning.training.session import RunSettings
from kalshi_platform.serving.api.tokens import read_token
from kalshi_platform.serving.server.args import PolicyAppArgs
from kalshi_platform.simulation.envs.settings import ENVIRONMENT_FILE, environment_text, read_environment
from kalshi_platform.trading.recorder.settings import RecordConfig
from kalshi_platform.trading.simserver.config import ServerConfig
from kalshi_platform.trading.simserver.faults.forms import read_schedule
from kalshi_platform.trading.simserver.keys import make_keys, read_keys
from serve_deployments.container import read_config

MODELS = (
    RunSettings(),
    PolicyAppArgs.parse({"access": {"require_token": False}}),
    SplitConfig(),
    EvalConfig(),
    ServerConfig(),
    RecordConfig.parse({"wanted": {"series": ["KXA"]}}),
)
SERVE = {
    "http_options": {"host": "127.0.0.1", "port": 8000},
    "applications": [{"name": "policy", "args": {"access": {"require_token": False}}}],
}
SCHEDULE = {
    "seed": 3,
    "faults": [{"kind": "http_5xx", "at_s": 1.0, "path": "/markets"}],
    "random": [{"fault": {"kind": "disconnect"}, "per_hour": 3.0}],
}


def test_settings():
    def one(rng):
        model = rng.choice(MODELS)
        try:
            values = json.loads(odd_text(rng, model.model_dump(mode="json")))
        except (ValueError, RecursionError):
            return "no JSON"

        def read():
            found = type(model).parse(values)
            again = type(model).parse(json.loads(found.model_dump_json()))
            if again.digest != found.digest:
                raise FindingError("settings that change when they are written and read again")

        return refusal(read)

    counts = fuzz("settings", 400, one)
    assert counts["refused"]
    assert counts["taken"]


def test_assignments():
    names = (
        "train.learning_rate",
        "train.level",
        "env.n_slots",
        "curriculum.name",
        "train.seed",
        "no.such",
        "",
    )

    def one(rng):
        value = odd_text(rng, [rng.choice((1, 0.5, "simple", True, None))], 1).decode("utf-8", "replace")[
            1:-1
        ]
        text = f"{rng.choice(names)}{rng.choice(('=', '=', '=', ''))}{value}"
        return refusal(lambda: RunSettings().with_values(parse_assignments([text])))

    assert fuzz("assignments", 300, one)["refused"]


def test_files_of_settings(place):
    def read_env(path):
        return read_environment(path.parent)

    keys = place / "keys"
    make_keys(keys)
    env = json.loads(environment_text(RunSettings().env))
    readers = (
        (place / "faults.json", read_schedule, SCHEDULE),
        (place / ENVIRONMENT_FILE, read_env, env),
        (place / "token", read_token, "secret-token"),
        (
            place / "keys.json",
            lambda path: read_keys(path.parent),
            json.loads((keys / "keys.json").read_text()),
        ),
        (place / "factors.json", read_factors, {"KXBTC": "crypto", "KXETH": "crypto"}),
        (
            place / "map.yaml",
            _read_map,
            {"kind": "trades", "columns": {"price": {"from": "p", "unit": "cents"}}},
        ),
        (place / "serve.yaml", lambda path: read_config(path, None), SERVE),
    )

    def one(rng):
        path, read, document = rng.choice(readers)
        sound = document.encode() if isinstance(document, str) else json.dumps(document).encode()
        path.write_bytes(odd_bytes(rng, sound) if rng.randrange(3) == 0 else odd_text(rng, document))
        return refusal(lambda: read(path), path.name)

    assert fuzz("files-of-settings", 200, one)["refused"]


def test_the_schedule_of_this_test_is_sound(place):
    (place / "faults.json").write_text(json.dumps(SCHEDULE))
    read_schedule(place / "faults.json")
    assert refusal(lambda: (_ for _ in ()).throw(ContractError("x"))) == "x"
