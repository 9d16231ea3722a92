"""The real Kalshi: signing, REST, WebSocket, recorder, order gateway."""
