"""The empty Serve application that ours is measured against: it reads, answers, does nothing between."""

import json

from fastapi import FastAPI, Request, Response, WebSocket, WebSocketDisconnect
from ray import serve

from serve_deployments.observability import LOGGING

#: Answer of ``/v1/stream`` to a frame, about as long as a decision for five markets.
DECISION = '{"type":"decision","frame":%d,"group":0,"tier":"none","notes":[],"padding":"' + "x" * 220 + '"}'


@serve.deployment
@serve.ingress()
class Empty:
    """One replica of the empty application."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def __serve_build_asgi_app__(self) -> FastAPI:
        app, answer = FastAPI(), self._answer

        @app.post("/v1/decide")
        async def decide(request: Request) -> Response:
            await request.body()
            return Response(answer, media_type="application/json")

        @app.websocket("/v1/stream")
        async def stream(socket: WebSocket) -> None:
            await socket.accept()
            await socket.receive_text()
            await socket.send_text('{"type":"opened","next_frame":1}')
            frame = 0
            try:
                while True:
                    text = await socket.receive_text()
                    if text == '{"type":"ack"}':
                        await socket.send_text(json.dumps({"type": "ack", "frame": frame}))
                        continue
                    frame += 1
                    await socket.send_text(DECISION % frame)
            except WebSocketDisconnect:
                return

        return app


def build_empty(answer: bytes) -> serve.Application:
    """Build the application; ``/v1/decide`` returns ``answer``."""
    return Empty.options(
        num_replicas=1, max_ongoing_requests=100, ray_actor_options={"num_cpus": 0}, logging_config=LOGGING
    ).bind(answer)
