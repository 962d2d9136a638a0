"""A TCP proxy between the exporter and a server that breaks connections at an exact byte.

Runs in a thread of its own. What it does to a connection depends on what is asked for on it: its
first line tells REST, monitor and eventbus apart, so that a fault can be put on one of them.
"""

import asyncio
import os
import socket
import struct
import threading
import time

KINDS = {"monitor": b"monitor.ws", "eventbus": b"events.ws"}
CHUNK = 65536


class Link:
    """One proxied connection."""

    def __init__(self):
        self.kind = None  # known with the first request line
        self.head = b""
        self.passed = {"up": 0, "down": 0}
        self.writers = []
        self.cut = False


class Proxy:
    """mode: pass, refuse, reset (RST at once), blackhole (accepts and says nothing), stall (what is
    open stays open and silent, too), trickle (one byte a second). `only` names the kind of
    connection that a mode or a cut is for; None = all."""

    def __init__(self, port, address="127.0.0.1"):
        self.target = ("127.0.0.1", port)
        self.address = address
        self.family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.mode = "pass"
        self.only = None
        self.delay_s = 0
        self.cut_after = None  # bytes of `cut_direction`
        self.cut_direction = "down"
        self.cuts = 0
        self.accepted = 0
        self.links = set()
        self.loop = asyncio.new_event_loop()
        self.listener = socket.create_server((address, 0), family=self.family, backlog=128)
        self.port = self.listener.getsockname()[1]
        host = f"[{address}]" if ":" in address else address
        self.url = f"http://{host}:{self.port}"
        self.server = None
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        self.call(self.listen())

    # --- steering, from the test's thread ---

    def call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    def set_mode(self, mode, only=None):
        """`refuse` closes the listening socket, all else leaves it open; what is open is broken by
        refuse and reset, and goes silent with stall and blackhole."""
        self.call(self.change(mode, only))

    def cut(self, after, direction="down", only=None):
        """Every new connection of that kind is cut after that byte; what is open is closed, so that
        a new session begins."""
        self.call(self.arm(after, direction, only))

    def mend(self):
        self.call(self.change("pass", None))

    def close(self):
        if self.loop.is_running():
            self.call(self.end())
            self.loop.call_soon_threadsafe(self.loop.stop)
            self.thread.join(10)

    kill = close  # as a process of the `started` fixture

    # --- the proxy's thread ---

    def run(self):
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    async def listen(self):
        if self.listener is None:
            self.listener = socket.create_server(
                (self.address, self.port), family=self.family, backlog=128
            )
        self.server = await asyncio.start_server(self.accept, sock=self.listener)

    async def deafen(self):
        if self.server is not None:
            self.server.close()
            self.server = self.listener = None

    async def change(self, mode, only):
        self.mode, self.only, self.cut_after = mode, only, None
        if mode in ("refuse", "reset"):
            for link in list(self.links):
                if self.meant(link):
                    self.break_link(link, reset=True)
        if mode == "refuse":
            await self.deafen()
        elif self.server is None:
            await self.listen()

    async def arm(self, after, direction, only):
        self.cut_after, self.cut_direction, self.only = after, direction, only
        for link in list(self.links):
            self.break_link(link, reset=False)

    async def end(self):
        await self.deafen()
        for link in list(self.links):
            self.break_link(link, reset=False)
        tasks = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def meant(self, link):
        return self.only is None or link.kind == self.only

    def cut_link(self, link):
        if not link.cut:
            link.cut = True
            self.cuts += 1
            self.break_link(link, reset=False)

    @staticmethod
    def break_link(link, reset):
        for writer in link.writers:
            sock = writer.get_extra_info("socket")
            if reset and sock is not None and sock.fileno() >= 0:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            else:
                writer.close()

    async def accept(self, reader, writer):
        link = Link()
        link.writers.append(writer)
        self.accepted += 1
        self.links.add(link)
        try:
            if self.mode == "reset" and self.only is None:
                self.break_link(link, reset=True)
                return
            await self.silence(link)
            upstream = await asyncio.open_connection(*self.target)
            link.writers.append(upstream[1])
            await asyncio.gather(
                self.pump(link, "up", reader, upstream[1]),
                self.pump(link, "down", upstream[0], writer),
            )
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.links.discard(link)
            for each in link.writers:
                each.close()

    async def silence(self, link):
        """Waits while this connection is to be silent."""
        while self.mode in ("stall", "blackhole") and self.meant(link):
            await asyncio.sleep(0.02)

    def learn(self, link, data):
        link.head += data[:512]
        line = link.head.split(b"\r\n", 1)[0]
        if b"\r\n" in link.head or len(link.head) > 512:
            link.kind = next((k for k, word in KINDS.items() if word in line), "rest")

    async def pump(self, link, direction, reader, writer):
        while True:
            data = await reader.read(CHUNK)
            if direction == "up" and link.kind is None:
                self.learn(link, data)
            await self.silence(link)
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            if self.mode == "reset" and self.meant(link):
                self.break_link(link, reset=True)
                return
            if not data:
                if not writer.is_closing() and writer.can_write_eof():
                    writer.write_eof()
                return
            if not await self.forward(link, direction, data, writer):
                return

    async def forward(self, link, direction, data, writer):
        at = 0
        while at < len(data):
            step = len(data) - at
            if self.mode == "trickle" and self.meant(link):
                step = 1
                await asyncio.sleep(1)
            armed = (
                self.cut_after is not None and direction == self.cut_direction and self.meant(link)
            )
            if armed:
                step = min(step, max(0, self.cut_after - link.passed[direction]))
            if step > 0:
                writer.write(data[at : at + step])
                await writer.drain()
                link.passed[direction] += step
                at += step
            if armed and link.passed[direction] >= self.cut_after:
                self.cut_link(link)
                return False
        return True


def cpu_seconds(pid):
    """User and system time of a process so far."""
    with open(f"/proc/{pid}/stat", "rb") as f:
        fields = f.read().rsplit(b")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cpu_shares(pids, seconds):
    """Which part of one processor each process uses over the next seconds."""
    begun, used = time.monotonic(), [cpu_seconds(pid) for pid in pids]
    threading.Event().wait(seconds)
    lasted = time.monotonic() - begun
    return [(cpu_seconds(pid) - before) / lasted for pid, before in zip(pids, used)]
