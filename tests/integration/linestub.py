"""Programs that listen for lines, over TCP (with TLS) or UDP, and what they can do wrong.

    reader = LineServer()              # or LineServer(tls=(certificate, key))
    reader.behaviour = "stall"         # connections from now on read nothing
    reader.hang_up()                   # half closes, reads to the end: loses nothing
    reader.cut()                       # resets, with what it has not read
    reader.stop(), reader.start()      # nobody listens; on the same port again

`lines` are whole lines of all connections in their order, `parts` what stood unfinished at each
connection's end.
"""

import socket
import ssl
import struct
import threading


class LineServer:
    def __init__(self, tls=None, client_ca=None, address="127.0.0.1"):
        self.address = address
        self.lock = threading.Lock()
        self.lines = []
        self.parts = []
        self.firsts = []  # the first bytes of each connection
        self.connections = 0
        self.refusals = []
        self.behaviour = "read"
        self.sockets = []
        self.context = None
        if tls is not None:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*map(str, tls))
            if client_ca is not None:
                self.context.load_verify_locations(str(client_ca))
                self.context.verify_mode = ssl.CERT_REQUIRED
        self.port = 0
        self.listener = None
        self.start()

    def start(self):
        self.listener = socket.create_server((self.address, self.port), backlog=64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def stop(self):
        if self.listener is not None:
            try:
                self.listener.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            self.listener.close()
            self.listener = None

    def kill(self):
        self.stop()
        for s in self.current():
            s.close()

    def current(self):
        with self.lock:
            return list(self.sockets)

    def hang_up(self):
        for s in self.current():
            try:
                s.shutdown(socket.SHUT_WR)
            except OSError:
                pass

    def cut(self):
        for s in self.current():
            try:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                s.shutdown(socket.SHUT_RD)
            except OSError:
                pass
            s.close()

    def accept(self, listener):
        while True:
            try:
                s, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    def serve(self, s):
        if self.context is not None:
            try:
                s = self.context.wrap_socket(s, server_side=True)
            except (OSError, ssl.SSLError) as error:
                self.refusals.append(str(error))
                return
        with self.lock:
            self.connections += 1
            self.sockets.append(s)
            stalled = self.behaviour == "stall"
        rest = b""
        first = True
        try:
            while not stalled:
                data = s.recv(65536)
                if not data:
                    break
                *whole, rest = (rest + data).split(b"\n")
                with self.lock:
                    if first:
                        self.firsts.append(data[:20])
                        first = False
                    self.lines += whole
        except OSError:
            pass
        if stalled:
            return
        with self.lock:
            self.parts.append(rest)
            self.sockets.remove(s)
        s.close()


class DatagramServer:
    def __init__(self, address="127.0.0.1"):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.socket.bind((address, 0))
        self.port = self.socket.getsockname()[1]
        self.datagrams = []
        threading.Thread(target=self.receive, daemon=True).start()

    def receive(self):
        while True:
            try:
                self.datagrams.append(self.socket.recv(65536))
            except OSError:
                return

    def kill(self):
        self.socket.close()
