"""A client's side of a connection that the simulated exchange left half open: it hears all, then nothing."""

from kalshi_platform.trading.simserver.stream.connection import ServedConnection
from made.raw_exchange import RawSocket
from made.sim_server import Scene

#: Frames that another connection hears before a silence counts: the world goes on.
_MEANWHILE = 20


async def read_sent(socket: RawSocket, connection: ServedConnection) -> None:
    """Read until the client has every frame that the exchange has sent it."""
    while len(socket.frames) < connection.n_sent:
        await socket.until(lambda _: True)


async def require_silence(scene: Scene, socket: RawSocket, connection: ServedConnection) -> None:
    """Require that a half-open connection hears nothing while another one hears the world."""
    await read_sent(socket, connection)
    n_sent = connection.n_sent
    async with scene.socket() as other:
        await other.send(1, "subscribe", channels=["ticker"])
        await other.until(lambda _: len(other.frames) > _MEANWHILE)
    await socket.listen(0.3)
    assert len(socket.frames) == connection.n_sent == n_sent
