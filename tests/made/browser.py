"""A real browser without a window, driven over its DevTools: open, ask, click, take a picture."""

import asyncio
import base64
import json
import shutil
import subprocess
import tempfile
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect


class Tab:
    """One tab; ``errors`` are what its console and its policy complained of."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket, self._number = socket, 0
        self.errors: list[str] = []

    async def call(self, method: str, **values: Any) -> dict[str, Any]:
        """Answer to one command."""
        self._number += 1
        await self._socket.send(json.dumps({"id": self._number, "method": method, "params": values}))
        while True:
            told = json.loads(await self._socket.recv())
            if told.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown"):
                self.errors.append(json.dumps(told["params"])[:500])
            if told.get("id") == self._number:
                assert "error" not in told, told
                return told["result"]

    async def open(self, address: str, width: int, height: int = 1_400) -> None:
        """Open an address in a window of that size."""
        for domain in ("Page", "Runtime", "Log"):
            await self.call(f"{domain}.enable")
        await self.resize(width, height)
        await self.call("Emulation.setScrollbarsHidden", hidden=True)
        await self.call("Page.navigate", url=address)

    async def resize(self, width: int, height: int = 1_400) -> None:
        """Change the size of the window."""
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    async def ask(self, script: str) -> Any:
        """Value of a line of script."""
        told = await self.call("Runtime.evaluate", expression=script, returnByValue=True)
        return told["result"].get("value")

    async def until(self, script: str) -> None:
        """Wait until a line of script is true; the test's own limit of time ends it."""
        while not await self.ask(script):
            await asyncio.sleep(0.05)

    async def picture(self, path: Path) -> None:
        """Write a picture of the whole page."""
        told = await self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(told["data"]))


@asynccontextmanager
async def browser_tab() -> AsyncIterator[Tab]:
    """A tab of a browser of its own; the test is skipped where none is installed."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no chromium on this machine: apt-get install chromium")
    with tempfile.TemporaryDirectory(prefix="tab-", ignore_cleanup_errors=True) as folder:
        running = subprocess.Popen(
            [
                program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                "--no-first-run", f"--user-data-dir={folder}", "--remote-debugging-port=0", "about:blank",
            ],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            told = Path(folder) / "DevToolsActivePort"
            while not told.exists() or not told.read_text().count("\n"):
                assert running.poll() is None, "the browser did not start"
                await asyncio.sleep(0.05)
            port = told.read_text().splitlines()[0]
            pages = await asyncio.to_thread(_pages, port)
            async with connect(pages[0]["webSocketDebuggerUrl"], max_size=None) as socket:
                yield Tab(socket)
        finally:
            running.kill()
            running.wait()


def _pages(port: str) -> list[dict[str, Any]]:
    """Tabs of the browser that listens on ``port``."""
    while True:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list") as answer:
            found = [each for each in json.load(answer) if each["type"] == "page"]
        if found:
            return found
