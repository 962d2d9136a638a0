"""A proxy between the exporter and PostgreSQL that reads protocol 3 and ends a connection at a place
of a transaction: after so many bytes of one of its messages, or when COMMIT has arrived and its
answer has not.

Source of the format: PostgreSQL's manual, Frontend/Backend Protocol. The client must not encrypt
(sslmode=disable gssencmode=disable).
"""

import socket
import struct
import threading

# What a batch's transaction consists of, in this order.
BEGIN, DATA, DATA_END, EVENTS, INSERT, COMMIT = (
    "BEGIN", "COPY data", "end of COPY", "COPY events", "INSERT", "COMMIT"
)  # fmt: skip
PLACES = (BEGIN, DATA, DATA_END, EVENTS, INSERT, COMMIT)
# How it ends: in the midst of a message; right behind COMMIT; when the server has answered it.
CLOSED, RESET, UNANSWERED = "closed", "reset", "answer withheld"


def place_of(kind, body):
    if kind == b"d":
        return DATA
    if kind == b"c":
        return DATA_END
    if kind != b"Q":
        return None
    if body.startswith(b"BEGIN") and b"COPY" in body:
        return BEGIN
    if b"COPY" in body:
        return EVENTS
    if body.startswith(b"COMMIT"):
        return COMMIT
    return INSERT if b"EXECUTE" in body or b"INSERT" in body else None


class Link:
    def __init__(self, client, server):
        self.client, self.server = client, server
        self.begun = False  # a batch's transaction
        self.sent = 0  # bytes of it
        self.withholding = False

    def end(self, reset):
        for each in (self.client, self.server):
            try:
                if reset:
                    each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    each.close()
                else:
                    each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class CutProxy:
    def __init__(self, port):
        self.target = ("127.0.0.1", port)
        self.plan = None  # (place, share of the message, how)
        self.cuts = []  # (place, how, byte of the transaction's stream)
        self.commits = 0  # that the client was told of
        self.sessions = 0
        self.open = True
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=16)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def conninfo(self, dbname):
        return (f"host=127.0.0.1 port={self.port} dbname={dbname} user=postgres sslmode=disable"
                " gssencmode=disable")  # fmt: skip

    def arm(self, place, share, how):
        """The next transaction that has such a place is cut there. share: of the message's bytes
        that still reach the server; below 1 it never gets all of them."""
        with self.lock:
            self.plan = (place, share, how)

    def kill(self):
        self.open = False
        self.listener.close()

    # --- the proxy's threads ---

    def accept(self):
        while self.open:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self.target)
            except OSError:
                client.close()
                continue
            link = Link(client, server)
            self.sessions += 1
            for pump in (self.up, self.down):
                threading.Thread(target=self.run, args=(pump, link), daemon=True).start()

    @staticmethod
    def run(pump, link):
        try:
            pump(link)
        except (OSError, EOFError):
            pass
        link.end(reset=False)

    @staticmethod
    def read(s, length):
        data = b""
        while len(data) < length:
            part = s.recv(length - len(data))
            if not part:
                raise EOFError
            data += part
        return data

    def message(self, s):
        head = self.read(s, 5)
        return head[:1], head, self.read(s, struct.unpack(">I", head[1:])[0] - 4)

    def up(self, link):
        length = self.read(link.client, 4)  # the startup message has no kind
        link.server.sendall(length + self.read(link.client, struct.unpack(">I", length)[0] - 4))
        while True:
            kind, head, body = self.message(link.client)
            place = place_of(kind, body)
            if place == BEGIN:
                link.begun, link.sent = True, 0
            if link.begun and self.cut(link, place, head + body):
                return
            link.server.sendall(head + body)
            link.sent += 5 + len(body)
            link.begun = link.begun and place != COMMIT

    def cut(self, link, place, data):
        """Whether this is the place. What is to reach the server has reached it then."""
        with self.lock:
            if self.plan is None or self.plan[0] != place:
                return False
            _, share, how = self.plan
            self.plan = None
        if how == UNANSWERED:
            link.withholding = True  # the rest is the other pump's
            return False
        reach = int(len(data) * share)
        link.server.sendall(data[:reach])
        self.note(link, place, how, link.sent + reach)
        return True

    def note(self, link, place, how, byte):
        link.end(reset=how == RESET)
        with self.lock:
            self.cuts.append((place, how, byte))

    def down(self, link):
        while True:
            kind, head, body = self.message(link.server)
            committed = kind == b"C" and body == b"COMMIT\0"
            if committed and link.withholding:
                self.note(link, COMMIT, UNANSWERED, link.sent)
                return
            link.client.sendall(head + body)
            with self.lock:
                self.commits += committed
