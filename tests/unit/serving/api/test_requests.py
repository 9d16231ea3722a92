"""The OpenAPI document fuzzed in process: whatever is sent, the answer is one the document promises."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from made.serving_app import App, token_files
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from kalshi_platform.serving.api.requests import ProblemBody

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def open_app() -> App:
    access = {"require_token": False, "hosts": ["testserver"]}  # the name by which schemathesis asks
    return App(access=access, limits={"rates": {"rate_per_s": 1_000_000, "burst": 1_000_000}})


@pytest.fixture(scope="module")
def schema(open_app: App) -> schemathesis.BaseSchema:
    return schemathesis.openapi.from_asgi("/openapi.json", open_app.app)


@pytest.fixture(scope="module")
def guarded_schema(tmp_path_factory: pytest.TempPathFactory) -> schemathesis.BaseSchema:
    app = App(access=token_files(tmp_path_factory.mktemp("tokens")))
    return schemathesis.openapi.from_asgi("/openapi.json", app.app)


few = settings(
    max_examples=20, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
OPERATIONS = [
    ("/v1/decide", "POST"),
    ("/v1/model", "GET"),
    ("/v1/example", "GET"),
    ("/v1/models/events", "GET"),
    ("/v1/models/reload", "POST"),
    ("/v1/models/rollback", "POST"),
    ("/v1/healthz", "GET"),
    ("/v1/readyz", "GET"),
]
HEALTH = ("/v1/healthz", "/v1/readyz")


def test_every_operation_of_the_document_is_fuzzed(schema):
    found = {(each.ok().path, each.ok().method.upper()) for each in schema.get_all_operations()}
    assert found == set(OPERATIONS)


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_every_answer_is_one_that_the_document_promises(schema, path, method, mode):
    @few
    @given(schema[path][method].as_strategy(generation_mode=mode))
    def fuzz(case):
        case.call_and_validate(checks=CHECKS)

    try:
        fuzz()
    except Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE, "an operation without parameters cannot be asked wrongly"


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_without_a_token_nothing_but_health_is_answered(guarded_schema, path, method):
    @few
    @given(guarded_schema[path][method].as_strategy())
    def fuzz(case):
        response = case.call()
        assert response.status_code in ((200,) if path in HEALTH else (401, 403))
        case.validate_response(response, checks=CHECKS)

    fuzz()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=4,
)


@settings(max_examples=80)
@given(data=st.data())
def test_a_valid_request_with_one_thing_changed_is_answered_or_refused_by_name(open_app: App, data):
    body = open_app.example()
    at: object = body
    for _ in range(data.draw(st.integers(1, 6))):
        parent, key = at, data.draw(st.sampled_from(list(at) if isinstance(at, dict) else range(len(at))))
        at = parent[key]
        if not isinstance(at, (dict, list)) or not at:
            break
    parent[key] = data.draw(JSON)
    response = open_app.decide(body)
    assert response.status_code in (200, 409, 422), response.text
    if response.status_code != 200:
        assert ProblemBody.model_validate_json(response.content).field
