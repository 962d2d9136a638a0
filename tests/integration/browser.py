"""A headless Chromium that a test steers by the DevTools protocol, over a pipe.

    with Browser(directory) as browser:
        page = browser.open(url, width=360, height=800, dark=True)
        page.value("document.title")
        page.complaints          # what the console, the network and the policy had to say
"""

import base64
import fcntl
import json
import os
import queue
import shutil
import subprocess
import threading

import pytest

from harness import SLOW, wait_for

PROGRAM = next((p for p in map(shutil.which, ("chromium", "chromium-browser")) if p), None)
QUIET = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
    "--disable-background-networking --disable-component-update --disable-default-apps "
    "--disable-dev-shm-usage --hide-scrollbars --remote-debugging-pipe"
).split()


def need_browser():
    if PROGRAM is None:
        pytest.skip("no chromium: scripts/setup installs it")


def high(fd):
    """The same descriptor where bash's redirections to 3 and 4 do not overwrite it."""
    moved = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(fd)
    return moved


class Browser:
    def __init__(self, directory):
        need_browser()
        profile = directory / "profile"
        home = directory / "home"
        home.mkdir()
        asks, self.asked = map(high, os.pipe())
        self.told, tells = map(high, os.pipe())
        with open(directory / "chromium.log", "wb") as log:
            self.process = subprocess.Popen(
                ["bash", "-c", f'exec "$@" 3<&{asks} 4>&{tells}', "bash", PROGRAM, *QUIET,
                 f"--user-data-dir={profile}", "about:blank"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=(asks, tells),
                env={**os.environ, "HOME": str(home)},
            )
        os.close(asks)
        os.close(tells)
        self.number = 0
        self.answers = {}
        self.pages = {}
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.call("Browser.close", seconds=10)
            self.process.wait(20 * SLOW)
        except (AssertionError, OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        os.close(self.asked)
        self.reader.join(10)

    def read(self):
        buffered = b""
        while part := os.read(self.told, 1 << 20):
            buffered += part
            *messages, buffered = buffered.split(b"\0")
            for message in map(json.loads, messages):
                if "id" in message:
                    self.answers.pop(message["id"]).put(message)
                elif message.get("sessionId") in self.pages:
                    self.pages[message["sessionId"]].heard(message["method"], message["params"])
        os.close(self.told)

    def call(self, method, seconds=60, session=None, **params):
        self.number += 1
        answer = self.answers[self.number] = queue.Queue()
        message = {"id": self.number, "method": method, "params": params}
        if session is not None:
            message["sessionId"] = session
        os.write(self.asked, json.dumps(message).encode() + b"\0")
        try:
            got = answer.get(timeout=seconds * SLOW)
        except queue.Empty:
            raise AssertionError(f"{method}: the browser does not answer") from None
        assert "error" not in got, (method, got["error"])
        return got["result"]

    def open(self, url, **looks):
        return Page(self, url, **looks)


class Page:
    def __init__(self, browser, url, width=1280, height=900, dark=False):
        self.browser = browser
        self.complaints = []
        self.requested = []
        target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]
        browser.pages[self.session] = self
        for domain in ("Runtime", "Log", "Page", "Network", "Audits"):
            self.call(f"{domain}.enable")
        self.look(width, height, dark)
        self.call("Page.navigate", url=url)
        wait_for(lambda: self.value("document.readyState") == "complete", 60, "the page")

    def call(self, method, **params):
        return self.browser.call(method, session=self.session, **params)

    def look(self, width, height, dark=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=width < 600)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def heard(self, method, params):
        if method == "Log.entryAdded" and params["entry"]["level"] in ("warning", "error"):
            self.complaints.append(params["entry"]["text"])
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("warning", "error", "assert"):
            self.complaints.append(json.dumps(params["args"]))
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(params["exceptionDetails"]))
        elif method == "Audits.issueAdded":
            self.complaints.append(json.dumps(params["issue"]))
        elif method == "Page.javascriptDialogOpening":
            self.complaints.append(f"a dialog: {params['message']}")
        elif method == "Network.requestWillBeSent":
            self.requested.append(params["request"]["url"])

    def value(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, (expression, result)
        return result["result"].get("value")

    def text(self):
        return self.value("document.body.innerText")

    def shows(self, *words, seconds=30):
        def all_of_them():
            text = self.text()
            return all(word in text for word in words)

        try:
            wait_for(all_of_them, seconds, f"the page shows {words}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.text()}") from None

    def screenshot(self, path, whole=True):
        box = self.call("Page.getLayoutMetrics")["cssContentSize"] if whole else None
        clip = {"clip": {**box, "scale": 1}} if whole else {}
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole, **clip)
        path.write_bytes(base64.b64decode(shot["data"]))
