import asyncio
import base64
import logging
from datetime import UTC, datetime
from email.utils import format_datetime

import httpx
import numpy as np
import pytest
from made.exchange import START_NS, URL, HandlerPool, HeldClock, run, transport

from kalshi_platform.domain.errors import ContractError, DataError, ExchangeError
from kalshi_platform.domain.units import NS_PER_SECOND
from kalshi_platform.trading.exchange.outcomes import Accepted, Refused, Unknown
from kalshi_platform.trading.exchange.rest import RestSettings, RestTransport
from kalshi_platform.trading.exchange.signing import KEY_HEADER, SIGNATURE_HEADER, TIME_HEADER


class Answers:
    """Handler that gives one prepared answer after another, and keeps the requests."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []

    def __call__(self, request):
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def ok(body=None, status=200, **headers):
    return httpx.Response(status, json={"a": 1} if body is None else body, headers=headers)


def text_of(answer):
    return answer.text("order_id")


def write(handler, method="POST", body=None, **settings):
    rest = transport(handler, **settings)
    return run(rest.write(method, "/portfolio/events/orders", {}, body or {"ticker": "A"}, text_of, shard=0))


# Reads


def test_a_request_is_signed_over_its_path_exactly_as_sent():
    handler, rest_clock = Answers(ok()), HeldClock()
    rest = transport(handler, rest_clock)
    run(rest.get("/markets/{ticker}/orderbook", {"ticker": "KX-A/B C-T7.5%"}, {"depth": 0, "cursor": None}))
    sent = handler.requests[0]
    assert sent.url.raw_path == b"/trade-api/v2/markets/KX-A%2FB%20C-T7.5%25/orderbook?depth=0"
    text = f"{START_NS // 1_000_000}GET/trade-api/v2/markets/KX-A%2FB%20C-T7.5%25/orderbook"
    assert sent.headers[TIME_HEADER] == str(START_NS // 1_000_000)
    signature = base64.b64decode(sent.headers[SIGNATURE_HEADER])
    rest._signer._key.public_key().verify(signature, text.encode())


@pytest.mark.parametrize("value", ["", ".", ".."])
def test_a_value_that_would_change_the_path_is_refused(value):
    with pytest.raises(ContractError, match="expected a name"):
        run(transport(Answers(ok())).get("/markets/{ticker}", {"ticker": value}))


def test_a_list_repeats_its_key_and_none_is_left_out():
    handler = Answers(ok())
    run(transport(handler).get("/markets/orderbooks", params={"tickers": ["A", "B"], "x": None}))
    assert handler.requests[0].url.query == b"tickers=A&tickers=B"


@pytest.mark.parametrize(
    "failure",
    [httpx.Response(503), httpx.Response(429), httpx.ReadTimeout("slow"), httpx.ConnectError("no route")],
    ids=["503", "429", "silence", "no connection"],
)
def test_a_read_is_repeated_with_a_fresh_signature_each_time(failure):
    clock = HeldClock()
    handler = Answers(failure, failure, ok())

    def later(request):
        clock.now_ns += NS_PER_SECOND
        return handler(request)

    assert run(transport(later, clock).get("/exchange/status")).raw == {"a": 1}
    times = [int(request.headers[TIME_HEADER]) for request in handler.requests]
    assert len(times) == 3
    assert times[0] < times[1] < times[2]


def test_a_read_gives_up_after_its_attempts_and_says_why():
    handler = Answers(httpx.Response(502, text="<html>bad\n gateway</html>"))
    with pytest.raises(ExchangeError, match="GET /exchange/status: 502 <html>bad gateway</html>") as caught:
        run(transport(handler, attempts=3).get("/exchange/status"))
    assert len(handler.requests) == 3
    assert (caught.value.status, caught.value.is_passing) == (502, True)


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        ({"code": "gone", "message": "no market", "details": "x"}, "gone", "gone: no market: x"),
        ({"error": {"code": "gone", "message": "no market"}}, "gone", "gone: no market"),
        ({"error": "too many requests"}, None, "too many requests"),
        ([], None, "[]"),
    ],
)
def test_an_error_body_is_read_flat_nested_or_bare_and_a_4xx_is_not_repeated(body, code, said):
    handler = Answers(ok(body, 404))
    with pytest.raises(ExchangeError) as caught:
        run(transport(handler).get("/markets/{ticker}", {"ticker": "A"}))
    assert len(handler.requests) == 1
    assert caught.value.code == code
    assert str(caught.value) == f"GET /markets/{{ticker}}: 404 {said}"


@pytest.mark.parametrize("content", [b"<html>", b"[1]", b'{"a":'])
def test_an_answer_that_is_no_json_object_is_refused_and_not_repeated(content):
    handler = Answers(httpx.Response(200, content=content))
    with pytest.raises(DataError, match="GET /exchange/status"):
        run(transport(handler).get("/exchange/status"))
    assert len(handler.requests) == 1


def test_a_redirect_is_not_followed_since_the_signature_is_for_one_path():
    handler = Answers(httpx.Response(302, headers={"Location": "https://elsewhere.test/"}), ok())
    with pytest.raises(ExchangeError, match="302"):
        run(transport(handler).get("/exchange/status"))
    assert len(handler.requests) == 1


def test_reads_wait_for_their_tokens_and_an_empty_bucket_after_429():
    clock = HeldClock()
    handler = Answers(*[ok()] * 60, httpx.Response(429), ok())
    rest = transport(handler, clock)

    async def sixty_and_one():
        for _ in range(60):
            await rest.get("/exchange/status")
        assert clock.slept == []  # 600 tokens: three seconds of budget
        await rest.get("/exchange/status")

    run(sixty_and_one())
    # 10 tokens come in 0.05 s; after the 429 the bucket counts as empty, so that 10 more are waited for.
    assert clock.slept == pytest.approx([0.05, 0.05])


# Writes


def test_a_write_that_the_exchange_took_is_accepted_with_its_typed_answer():
    handler = Answers(ok({"order_id": "o1"}, 201))
    assert write(handler) == Accepted("o1", 201)
    sent = handler.requests[0]
    assert sent.headers[KEY_HEADER]
    assert sent.content == b'{"ticker":"A"}'
    assert sent.headers["Content-Type"] == "application/json"


def test_a_put_without_words_still_sends_an_empty_json_object():
    handler = Answers(ok({"order_id": "o1"}))
    rest = transport(handler)
    run(rest.write("PUT", "/portfolio/order_groups/{id}/reset", {"id": "g"}, None, text_of, shard=0))
    assert handler.requests[0].content == b"{}"
    assert handler.requests[0].headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 429])
def test_a_4xx_refuses_a_write(status):
    outcome = write(Answers(ok({"error": {"code": "c", "message": "m"}}, status)))
    assert isinstance(outcome, Refused)
    assert (outcome.status, outcome.code, outcome.sent) == (status, "c", True)
    assert outcome.is_rate_limited == (status == 429)
    assert not outcome.is_duplicate  # 409 alone says nothing of an order that is there
    assert outcome.conflict == ("other" if status == 409 else None)


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(500),
        httpx.Response(503, json={"code": "service_unavailable"}),
        httpx.Response(408),
        httpx.Response(302),
        httpx.ReadTimeout("silence"),
        httpx.ReadError("reset by peer"),
        httpx.WriteError("broken pipe"),
        httpx.RemoteProtocolError("server disconnected without sending a response"),
        httpx.Response(200, content=b"<html>"),
        httpx.Response(201, json={"order": "not here"}),
        httpx.Response(204),
    ],
    ids=lambda answer: str(getattr(answer, "status_code", type(answer).__name__)),
)
def test_a_write_that_nobody_answered_well_is_unknown_and_sent_once(answer):
    handler = Answers(answer, ok({"order_id": "o1"}))
    outcome = write(handler)
    assert isinstance(outcome, Unknown)
    assert outcome.why
    assert len(handler.requests) == 1


@pytest.mark.parametrize(
    "failure", [httpx.ConnectError("refused"), httpx.ConnectTimeout("slow"), httpx.PoolTimeout("full")]
)
def test_a_write_that_never_left_is_refused_as_not_sent_and_not_repeated(failure):
    handler = Answers(failure, ok({"order_id": "o1"}))
    outcome = write(handler)
    assert isinstance(outcome, Refused)
    assert not outcome.sent
    assert len(handler.requests) == 1


def test_a_write_past_its_deadline_is_unknown():
    async def slow(request):
        await asyncio.sleep(30)
        return ok({"order_id": "o1"})

    assert write(slow, write_deadline_s=0.05) == Unknown(
        "POST /portfolio/events/orders: no answer within 0.05 s"
    )


def test_a_client_without_a_key_cannot_write_and_signs_nothing():
    handler = Answers(ok())
    pool = HandlerPool(handler)
    rest = RestTransport(RestSettings(url=URL), None, HeldClock(), np.random.default_rng(1), pool)
    run(rest.get("/exchange/status"))
    assert not any(name.lower().startswith("kalshi") for name in handler.requests[0].headers)
    with pytest.raises(ContractError, match="needs an API key"):
        run(rest.write("POST", "/x", {}, None, text_of))


def test_nothing_secret_stands_in_errors_or_logs(caplog):
    caplog.set_level(logging.DEBUG)
    handler = Answers(httpx.Response(500, text="no"))
    rest = transport(handler, attempts=2)
    with pytest.raises(ExchangeError) as caught:
        run(rest.get("/portfolio/balance"))
    outcome = run(rest.write("POST", "/portfolio/events/orders", {}, {}, text_of, shard=0))
    told = str(caught.value) + repr(outcome) + caplog.text
    assert "500" in told
    for request in handler.requests:
        assert request.headers[SIGNATURE_HEADER] not in told
        assert request.headers[KEY_HEADER] not in told


# The clock


def test_a_clock_more_than_five_seconds_off_is_told_once_each_time(caplog):
    clock = HeldClock()

    def dated(request):
        at = datetime.fromtimestamp((START_NS + clock.now_ns) // NS_PER_SECOND, UTC)
        return ok(Date=format_datetime(at, usegmt=True))

    rest = transport(dated, clock)

    async def look(skew_s):
        clock.skew_ns = skew_s * NS_PER_SECOND
        await rest.get("/exchange/status")
        return rest.skew.skew_ns

    async def looks():
        assert abs(await look(0)) <= NS_PER_SECOND // 2
        assert not caplog.records
        assert await look(7) == 7 * NS_PER_SECOND - NS_PER_SECOND // 2
        assert await look(8)
        assert len(caplog.records) == 1
        assert "6.5 s from the exchange's" in caplog.text
        await look(0)
        await look(-9)
        assert len(caplog.records) == 2

    run(looks())


def test_an_answer_without_a_readable_date_says_nothing_of_the_clock():
    rest = transport(Answers(ok(Date="yesterday")))
    run(rest.get("/exchange/status"))
    assert rest.skew.skew_ns is None
