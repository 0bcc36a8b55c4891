"""Headless Chromium through its own DevTools pipe: no driver, no package, no network port."""

import base64
import json
import os
import select
import shlex
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find_chromium():
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """One page of one browser. `errors` collects exceptions, console errors and failed requests."""

    def __init__(self, executable, width=1500, height=1000):
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        to_child, self._write = os.pipe()
        self._read, from_child = os.pipe()
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
        options += [
            f"--window-size={width},{height}",
            "--remote-debugging-pipe",
            f"--user-data-dir={self._profile.name}",
        ]
        # Nothing outside the file may be reached: a page that needs the network fails here.
        options += ["--proxy-server=127.0.0.1:9", "--disable-background-networking", "--hide-scrollbars"]
        # Chromium reads commands from descriptor 3 and answers on 4.
        command = f"exec {shlex.join([executable, *options])} 3<&{to_child} 4>&{from_child}"
        self._process = subprocess.Popen(
            ["bash", "-c", command],
            pass_fds=(to_child, from_child),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_child)
        os.close(from_child)
        self._buffer, self._events, self._last, self._session = b"", [], 0, None
        self.errors = []
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")

    def _receive(self, seconds):
        end = time.monotonic() + seconds
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], max(0, end - time.monotonic()))
            if not ready:
                raise TimeoutError("chromium does not answer")
            chunk = os.read(self._read, 1 << 16)
            if not chunk:
                raise ConnectionError("chromium has closed its pipe")
            self._buffer += chunk
        text, self._buffer = self._buffer.split(b"\0", 1)
        message = json.loads(text)
        method, given = message.get("method"), message.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.errors.append(given["exceptionDetails"].get("exception", {}).get("description", "exception"))
        elif method == "Runtime.consoleAPICalled" and given["type"] in ("error", "warning", "assert"):
            self.errors.append(json.dumps(given["args"]))
        elif method == "Log.entryAdded" and given["entry"]["level"] in ("error", "warning"):
            self.errors.append(given["entry"]["text"])
        elif method == "Network.requestWillBeSent" and not given["request"]["url"].startswith(
            ("file:", "data:", "about:")
        ):
            self.errors.append(f"request to {given['request']['url']}")
        if method:
            self._events.append(method)
        return message

    def _call(self, method, **parameters):
        self._last += 1
        message = {"id": self._last, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive(90)
            if answer.get("id") == self._last:
                if "error" in answer:
                    raise RuntimeError(answer["error"]["message"])
                return answer["result"]

    def open(self, path):
        self._events.clear()
        self._call("Page.navigate", url=path.resolve().as_uri())
        while "Page.loadEventFired" not in self._events:
            self._receive(30)

    def resize(self, width, height, scale=1):
        """Another size of the window, as a phone's."""
        self._call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=False
        )

    def print_media(self):
        """From here on the page is laid out as it is printed."""
        self._call("Emulation.setEmulatedMedia", media="print")

    def evaluate(self, expression, wait=False):
        """Value of a JavaScript expression, of a promise's end where asked to wait; an exception fails the test."""
        result = self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=wait)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def click(self, selector, index=0):
        """A real mouse click in the middle of the element, after scrolling to it."""
        find = f"document.querySelectorAll({json.dumps(selector)})[{index}]"
        self.evaluate(f"{find}.scrollIntoView({{block: 'center', inline: 'center'}})")
        self._mouse(find, "mousePressed", "mouseReleased")

    def hover(self, selector, index=0):
        find = f"document.querySelectorAll({json.dumps(selector)})[{index}]"
        self.evaluate(f"{find}.scrollIntoView({{block: 'center', inline: 'center'}})")
        self._mouse(find, "mouseMoved")

    def _mouse(self, find, *kinds):
        box = self.evaluate(f"(r => [r.x + r.width / 2, r.y + r.height / 2])({find}.getBoundingClientRect())")
        for kind in kinds:
            pressed = {} if kind == "mouseMoved" else {"button": "left", "clickCount": 1}
            self._call("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], **pressed)

    def screenshot(self, path, whole=False):
        """The window, or the whole page, as a PNG."""
        more = {}
        if whole:
            size = self._call("Page.getLayoutMetrics")["cssContentSize"]
            more = {
                "captureBeyondViewport": True,
                "clip": {"x": 0, "y": 0, **{k: size[k] for k in ("width", "height")}, "scale": 1},
            }
        path.write_bytes(base64.b64decode(self._call("Page.captureScreenshot", format="png", **more)["data"]))

    def close(self):
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._read)
        os.close(self._write)
        self._profile.cleanup()


@contextmanager
def chromium():
    """A `Browser` that is closed behind the block; the test is skipped where there is none."""
    executable = find_chromium()
    if executable is None:
        pytest.skip("no chromium on this machine (Debian: apt-get install chromium)")
    browser = Browser(executable)
    try:
        yield browser
    finally:
        browser.close()
