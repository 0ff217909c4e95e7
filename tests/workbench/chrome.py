"""A headless Chromium driven over its debugging pipe: no driver, no network."""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--window-size=1366,768",
    "--remote-debugging-pipe",
)  # fmt: skip


class Chrome:
    """One page; what it logged is in `logged`."""

    def __init__(self, profile: Path) -> None:
        to_read, self._write = os.pipe()
        self._read, to_write = os.pipe()
        # the shell puts the pipe's ends where Chromium looks for them, descriptors 3 and 4
        command = f'exec "$@" 3<&{to_read} 4>&{to_write}'
        self._process = subprocess.Popen(
            [
                "bash",
                "-c",
                command,
                "chrome",
                PROGRAM,
                *_OPTIONS,
                f"--user-data-dir={profile}",
                "about:blank",
            ],
            pass_fds=(to_read, to_write),
            stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(to_write)
        self._buffer, self._number, self._session = b"", 0, None
        self.logged: list[str] = []
        page = next(t for t in self._call("Target.getTargets")["targetInfos"] if t["type"] == "page")
        attached = self._call("Target.attachToTarget", targetId=page["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._read)
        os.close(self._write)

    def _call(self, method: str, **parameters):
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._number:
            if answer.get("method") == "Log.entryAdded":
                self.logged.append(answer["params"]["entry"]["text"])
        assert "error" not in answer, answer
        return answer["result"]

    def _next(self) -> dict:
        while b"\0" not in self._buffer:
            part = os.read(self._read, 1 << 16)
            assert part, "Chromium ended"
            self._buffer += part
        message, self._buffer = self._buffer.split(b"\0", 1)
        return json.loads(message)

    def run(self, script: str):
        """Value of an expression on the page."""
        return self._call("Runtime.evaluate", expression=script, returnByValue=True)["result"].get("value")

    def open(self, address: str) -> None:
        self._call("Page.navigate", url=address)

    def until(self, script: str, seconds: float = 20.0) -> None:
        """Wait until an expression holds on a page that has loaded."""
        end = time.monotonic() + seconds
        while not self.run(f"document.readyState == 'complete' && Boolean({script})"):
            assert time.monotonic() < end, f"{script}: {self.run('document.body.innerText')}"
            time.sleep(0.05)

    def press(self, *keys: str) -> None:
        for key in keys:
            text = {"Enter": "\r", "Escape": None}.get(key, key)
            more = {"text": text} if text else {}
            self._call("Input.dispatchKeyEvent", type="keyDown", key=key, **more)
            self._call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def type(self, text: str) -> None:
        self._call("Input.insertText", text=text)


class Another(Chrome):
    """A second person's page: the same browser, other cookies."""

    def __init__(self, first: Chrome) -> None:
        self._first, self._session = first, None
        self.logged: list[str] = []
        context = self._call("Target.createBrowserContext")["browserContextId"]
        target = self._call("Target.createTarget", url="about:blank", browserContextId=context)
        attached = self._call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._context, self._session = context, attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")

    def close(self) -> None:
        self._session = None
        self._call("Target.disposeBrowserContext", browserContextId=self._context)

    def _call(self, method: str, **parameters):
        before, self._first._session = self._first._session, self._session
        try:
            return self._first._call(method, **parameters)
        finally:
            self._first._session = before
