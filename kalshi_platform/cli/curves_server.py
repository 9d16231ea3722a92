"""TensorBoard that answers to names of this machine only: ``python -m kalshi_platform.cli.curves_server``.

Why      TensorBoard looks at no Host header. A page on the web that makes a name of its own point to
         127.0.0.1 (DNS rebinding) would read the learning curves and settings of every run through the
         user's browser.
Flags    are TensorBoard's own.
"""

import sys
from collections.abc import Callable, Iterable
from typing import Any, Final

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
_NAMES: Final = ("127.0.0.1", "localhost", "[::1]")


def for_own_names(app: WsgiApp) -> WsgiApp:
    """``app`` for requests to this machine by its own names; others get 403 and a sentence."""

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        host = str(environ.get("HTTP_HOST", ""))
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        if name not in _NAMES:
            start("403 Forbidden", [("Content-Type", "text/plain; charset=utf-8")])
            return [b"this page answers to 127.0.0.1 and localhost only\n"]
        return app(environ, start)

    return answer


def main() -> None:
    """Serve until a signal."""
    from absl import app as flags_app
    from tensorboard import default, main_lib, program

    class OwnNamesServer(program.WerkzeugServer):  # type: ignore[misc]
        """TensorBoard's server, its application behind the check of the Host."""

        def __init__(self, wsgi_app: WsgiApp, flags: Any) -> None:
            super().__init__(for_own_names(wsgi_app), flags)

    main_lib.global_init()
    server = program.TensorBoard(plugins=default.get_plugins(), server_class=OwnNamesServer)
    flags_app.run(server.main, argv=sys.argv, flags_parser=server.configure)


if __name__ == "__main__":
    main()
