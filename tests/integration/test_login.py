"""login: from the admin's password to a key in a file, at a terminal and without one."""

import errno
import fcntl
import http.server
import os
import pathlib
import pty
import re
import signal
import stat
import subprocess
import termios
import threading
import urllib.request

import pytest

from harness import BUILD, SLOW, Sim, wait_for
from test_tls import LOCAL, Authority

PASSWORD = "Canary Pass-7f3e"
LOGIN = {"KISMET_USERNAME": "admin", "KISMET_PASSWORD": PASSWORD}


def environment(home, extra):
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("KISMET_", "XDG_"))}
    return {**kept, "HOME": str(home), **extra}


def login(home, *arguments, **extra):
    """Status, output and errors of a login with nobody at the terminal."""
    run = subprocess.run(
        [str(BUILD / "kismet-export"), "login", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30 * SLOW,
        cwd=home,
        env=environment(home, extra),
    )
    assert PASSWORD not in run.stdout + run.stderr
    return run.returncode, run.stdout, run.stderr


@pytest.fixture
def sim(started):
    return started(Sim, "--devices", "3", "--user", "admin", "--password", PASSWORD)


def opens(sim, key):
    request = urllib.request.Request(sim.url + "/session/check_session")
    request.add_header("Cookie", f"KISMET={key}")
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.status == 200


def test_makes_a_key_that_only_its_owner_can_read(sim, tmp_path):
    status, out, error = login(tmp_path, sim.url, **LOGIN)
    assert status == 0, error
    path = tmp_path / f".config/kismet-export/127.0.0.1_{sim.port}.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    key = path.read_text().strip()
    assert opens(sim, key)
    assert key not in out + error
    assert f"api_key_file: {path}" in out
    command = re.search(r"^kismet-export (--.*)$", out, re.MULTILINE)[1].split()
    run = subprocess.run(
        [str(BUILD / "kismet-export"), *command, "--once"],
        capture_output=True,
        text=True,
        timeout=30 * SLOW,
        env=environment(tmp_path, {}),
    )
    assert run.returncode == 0, run.stderr
    assert "Devices processed: 3" in run.stdout
    assert key not in run.stdout + run.stderr


def test_again_replaces_the_key_and_nothing_else_is_left(sim, tmp_path):
    path = tmp_path / "keys" / "a key.key"
    path.parent.mkdir()
    path.write_text("the old one\n")
    path.chmod(0o644)
    status, out, error = login(tmp_path, sim.url, "--key-file", path, **LOGIN)
    assert status == 0, error
    assert opens(sim, path.read_text().strip())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(path.parent) == ["a key.key"]
    assert f"--kismet-api-key-file '{path}'" in out and f"api_key_file: '{path}'" in out
    first = path.read_text()
    assert login(tmp_path, sim.url, "--key-file", path, **LOGIN)[0] == 0
    assert path.read_text() != first


def test_password_from_a_file_and_address_from_the_flags(sim, tmp_path):
    secret = tmp_path / "password"
    secret.write_text(PASSWORD + "\n")
    secret.chmod(0o600)
    config = tmp_path / "xdg"
    status, _, error = login(
        tmp_path,
        *("--kismet-host", "localhost", "--kismet-port", sim.port),
        KISMET_USERNAME="admin",
        KISMET_PASSWORD_FILE=str(secret),
        XDG_CONFIG_HOME=str(config),
    )
    assert status == 0, error
    key = (config / "kismet-export" / f"localhost_{sim.port}.key").read_text().strip()
    assert opens(sim, key)


def test_wrong_password(sim, tmp_path):
    status, out, error = login(tmp_path, sim.url, KISMET_USERNAME="admin", KISMET_PASSWORD="no")
    assert (status, out) == (69, "")
    assert "refuses user admin" in error
    assert not list(tmp_path.rglob("*.key*"))


def test_a_kismet_without_an_admin_yet(sim, tmp_path):
    sim.command("admin unset")
    status, _, error = login(tmp_path, sim.url)  # said before a password is asked for
    assert status == 69
    assert "no admin password yet" in error and "browser" in error


def test_nobody_there_to_ask(sim, tmp_path):
    status, _, error = login(tmp_path, sim.url)
    assert status == 64
    assert "KISMET_PASSWORD_FILE" in error


def test_nothing_there_to_log_in_to(tmp_path):
    status, _, error = login(tmp_path, "http://127.0.0.1:1", **LOGIN)
    assert status == 69
    assert "is Kismet running there" in error


def test_wrong_prefix(started, tmp_path):
    sim = started(
        Sim, "--devices", "1", "--user", "admin", "--password", PASSWORD, "--prefix", "/kismet"
    )
    status, _, error = login(tmp_path, sim.url, **LOGIN)
    assert status == 69 and "path prefix" in error
    status, _, error = login(tmp_path, sim.url + "/kismet", **LOGIN)
    assert status == 0, error
    assert (tmp_path / f".config/kismet-export/127.0.0.1_{sim.port}_kismet.key").exists()


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["http://a@b"], "credential does not belong"),
        (["http://one", "--kismet-host", "two"], "give the address once"),
        (["--config", "two.yaml"], "names 2 sources"),
        (["http://127.0.0.1:1", "--key-file", "/"], "no plain file"),
    ],
)
def test_wrong_command_lines(tmp_path, arguments, said):
    two = "sources:\n  - {name: a, url: http://a}\n  - {name: b, url: http://b}\n"
    (tmp_path / "two.yaml").write_text(two)
    status, _, error = login(tmp_path, *arguments, **LOGIN)
    assert status == 64, error
    assert said in error


def test_warns_of_a_password_in_plain_text(sim, tmp_path):
    url = f"http://0.0.0.0:{sim.port}"  # this machine, but no loopback address
    status, _, error = login(tmp_path, url, **LOGIN)
    assert status == 0, error
    assert "unencrypted" in error
    assert "unencrypted" not in login(tmp_path, sim.url, **LOGIN)[2]


def test_tls_as_the_file_says(started, tmp_path):
    ours = Authority(tmp_path, "ours")
    certificate, key = ours.issue("good", LOCAL)
    tls = ("--tls-cert", certificate, "--tls-key", key)
    sim = started(Sim, "--devices", "1", "--user", "admin", "--password", PASSWORD, *tls)
    url = f"https://localhost:{sim.port}"
    status, _, error = login(tmp_path, url, **LOGIN)
    assert status == 69 and "its certificate is not accepted" in error
    config = tmp_path / "config.yaml"
    config.write_text(
        "sources:\n"
        "  - {name: other, url: http://other}\n"
        f"  - {{name: it, url: '{url}', api_key_file: not-there-yet, tls: {{ca_file: {ours.file}}}}}\n"
    )
    status, out, error = login(
        tmp_path, url, "--config", config, "--key-file", "not-there-yet", **LOGIN
    )
    assert status == 0, error
    assert f"ca_file: {ours.file}" in out
    assert (tmp_path / "not-there-yet").exists()


# --- servers that are not the simulator ---


class Fake:
    """Answers /session/check_* with 200 and key requests as told."""

    def __init__(self, status, body, setup=(200, {})):
        class Handler(http.server.BaseHTTPRequestHandler):
            def reply(self, code, text=b"", headers=()):
                self.send_response(code)
                for name, value in dict(headers).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def do_GET(self):
                if self.path == "/session/check_setup_ok":
                    self.reply(setup[0], headers=setup[1])
                else:
                    good = self.headers.get("Cookie") == "KISMET=0123456789ABCDEF"
                    self.reply(200 if good else 401)

            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                self.reply(status, body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.mark.parametrize(
    "status, body, setup, code, said",
    [
        (200, b"0123456789ABCDEF", (200, {}), 0, ""),
        (200, b'{"token": "0123456789ABCDEF"}\n', (406, {}), 0, ""),
        (200, b'"0123456789ABCDEF"', (200, {}), 0, ""),
        (200, b"ANOTHER-0123456789", (200, {}), 69, "does not work"),
        (200, b"<html>hello, who are you?</html>", (200, {}), 69, "no API key"),
        (200, b"", (200, {}), 69, "no API key"),
        (200, b"{", (200, {}), 69, "no API key"),
        (404, b"", (200, {}), 69, "older than 2021"),
        (500, b"", (200, {}), 69, "httpd_allow_auth_creation"),
        (502, b"", (200, {}), 69, "answers 502"),
        (200, b"", (301, {"Location": "https://elsewhere/"}), 69, "redirects to https://elsewhere/"),
    ],
    ids=range(11),  # a test's name is part of its directory's, and that is printed
)
def test_answers(tmp_path, status, body, setup, code, said):
    fake = Fake(status, body, setup)
    path = tmp_path / "key"
    ended, out, error = login(tmp_path, fake.url, "--key-file", path, **LOGIN)
    fake.close()
    assert ended == code, error
    assert said in error
    assert "0123456789" not in out + error
    assert path.exists() == (code == 0)
    if code == 0:
        assert path.read_text() == "0123456789ABCDEF\n"


# --- at a terminal ---


class Terminal:
    """A login with a person before it."""

    def __init__(self, home, *arguments, **extra):
        self.master, self.slave = pty.openpty()
        self.output = b""
        self.process = subprocess.Popen(
            [str(BUILD / "kismet-export"), "login", *map(str, arguments)],
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            cwd=home,
            env=environment(home, extra),
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.set_blocking(self.master, False)

    def read(self):
        try:
            while chunk := os.read(self.master, 65536):
                self.output += chunk
        except OSError as error:
            assert error.errno in (errno.EAGAIN, errno.EIO)
        return self.output.decode()

    def asked(self, question):
        wait_for(
            lambda: question in self.read() or self.process.poll() is not None, what=question
        )
        assert question in self.read(), self.output

    def type(self, text):
        os.write(self.master, text.encode())

    def echoes(self):
        return bool(termios.tcgetattr(self.slave)[3] & termios.ECHO)

    def wait(self):
        status = self.process.wait(20 * SLOW)
        self.read()
        return status

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def terminal(tmp_path):
    opened = []

    def start(*arguments, **extra):
        opened.append(Terminal(tmp_path, *arguments, **extra))
        return opened[-1]

    yield start
    for one in opened:
        one.close()


def test_asks_for_address_user_and_password(sim, terminal, tmp_path):
    person = terminal()
    person.asked("Kismet's address [http://localhost:2501]: ")
    person.type(f"{sim.url}\n")
    person.asked("Admin user [kismet]: ")
    assert person.echoes()
    person.type("admin\n")
    person.asked("Password: ")
    assert not person.echoes()
    command_line = pathlib.Path(f"/proc/{person.process.pid}/cmdline").read_bytes()
    assert PASSWORD.encode() not in command_line
    person.type(PASSWORD + "\n")
    assert person.wait() == 0, person.output
    assert person.echoes()
    key = next((tmp_path / ".config/kismet-export").iterdir()).read_text().strip()
    assert opens(sim, key)
    assert PASSWORD not in person.output.decode()
    assert key not in person.output.decode()


@pytest.mark.parametrize("how", ["Ctrl-C", "Ctrl-D", "SIGTERM"])
def test_the_terminal_echoes_again(sim, terminal, tmp_path, how):
    person = terminal(sim.url, KISMET_USERNAME="admin")
    person.asked("Password: ")
    assert not person.echoes()
    person.type("half a pass")
    if how == "SIGTERM":
        person.process.send_signal(signal.SIGTERM)
    else:
        person.type("\x03" if how == "Ctrl-C" else "\x04\x04")
    ended = {"Ctrl-C": -signal.SIGINT, "Ctrl-D": 69, "SIGTERM": -signal.SIGTERM}
    assert person.wait() == ended[how], person.output
    assert person.echoes()
    assert "half" not in person.output.decode()
    assert not list(tmp_path.rglob("*.key*"))


def test_an_empty_password_is_refused(sim, terminal):
    person = terminal(sim.url, KISMET_USERNAME="admin")
    person.asked("Password: ")
    person.type("\n")
    assert person.wait() == 64
    assert "empty" in person.output.decode()


def test_a_password_on_the_command_line_is_overwritten(sim, terminal):
    sim.command("rest hang")
    person = terminal(sim.url, "--kismet-username", "admin", "--kismet-password", PASSWORD)
    wait_for(lambda: "--kismet-password puts a secret" in person.read(), what="the warning")
    assert PASSWORD.encode() not in pathlib.Path(
        f"/proc/{person.process.pid}/cmdline"
    ).read_bytes()
    person.type("\x03")
    assert person.wait() == -signal.SIGINT
    assert PASSWORD not in person.output.decode()
