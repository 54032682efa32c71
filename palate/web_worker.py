"""gunicorn's thread worker, in which a slow client holds no thread.

gunicorn gives a connection to a thread when its first byte is there, and the thread then waits for the rest: eight
clients that send a header a minute are enough to stop eight threads. Here the main loop collects the header, and a
small body, and only a whole request gets a thread. A large body is read by its thread, and a response is written by
it, but both within limits of time.
"""

import errno
import re
import selectors
import time
from functools import partial
from typing import Any

from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.gthread import TConn, ThreadWorker

# Until the header, and a body that is collected, must be here.
REQUEST_SECONDS = 15.0
# A body that a thread reads may take this long, and a second more for every so many bytes.
BODY_SECONDS, BODY_BYTES_PER_SECOND = 15.0, 20_000
# Until a client must have taken one piece of a response.
SEND_SECONDS = 60.0
# What the main loop holds in memory for one connection.
MAX_COLLECTED = 65_536
HEADER_END = b"\r\n\r\n"
CONTENT_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,18})[ \t]*\r\n", re.IGNORECASE)
# Whoever sends this waits for an answer before the body.
EXPECT = re.compile(rb"\r\nexpect:", re.IGNORECASE)


class TimedUnreader(SocketUnreader):
    """Reads what the main loop has not collected, as long as the client is fast enough."""

    def begin(self, collected: bytes) -> None:
        """Start on a request; `collected` is what has come of it."""
        self._deadline = time.monotonic() + BODY_SECONDS
        self.unread(collected)

    def chunk(self, size_hint: int | None = None) -> bytes:
        """Return the next piece. Raises ConnectionResetError, which gunicorn and Django take for a client that left."""
        limit = self.sock.gettimeout() or SEND_SECONDS
        try:
            self.sock.settimeout(min(limit, max(0.001, self._deadline - time.monotonic())))
            piece: bytes = super().chunk(size_hint)
        except TimeoutError:
            raise ConnectionResetError(errno.ECONNRESET, "the client sends too slowly") from None
        finally:
            self.sock.settimeout(limit)
        self._deadline += len(piece) / BODY_BYTES_PER_SECOND
        return piece


class Connection(TConn):
    """A connection and what has come of its next request."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.data_ready = True
        self._forget()

    def _forget(self) -> None:
        self._collected = bytearray()
        # Bytes of the request as far as they are collected; None: the header has not ended yet.
        self._length: int | None = None

    def init(self) -> None:
        """Called by the thread that takes a request."""
        if not self.initialized:
            super().init()
            self.parser.unreader = TimedUnreader(self.sock)
        self.sock.settimeout(SEND_SECONDS)
        self.parser.unreader.begin(bytes(self._collected))
        self._forget()

    def collect(self, piece: bytes) -> bool:
        """Add what has come and return whether a thread may take the request."""
        start = max(0, len(self._collected) - len(HEADER_END) + 1)
        self._collected += piece
        if self._length is None and (end := self._collected.find(HEADER_END, start)) >= 0:
            self._length = end + len(HEADER_END) + _body_to_collect(bytes(self._collected[: end + 2]))
        return len(self._collected) >= (MAX_COLLECTED if self._length is None else self._length)


def _body_to_collect(header: bytes) -> int:
    """The length of a small body; 0 for one that a thread reads, as it comes."""
    length = CONTENT_LENGTH.search(header)
    if length is None or int(length[1]) > MAX_COLLECTED or EXPECT.search(header):
        return 0
    return int(length[1])


class Worker(ThreadWorker):
    def accept(self, listener: Any) -> None:
        try:
            client, address = listener.accept()
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.ECONNABORTED, errno.EWOULDBLOCK):
                raise
            return
        self.nr_conns += 1
        self._collect(Connection(self.cfg, client, address, listener.getsockname()))

    def on_client_socket_readable(self, conn: Connection, client: Any) -> None:
        """A kept connection sends its next request."""
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self._collect(conn)

    def _collect(self, conn: Connection) -> None:
        conn.timeout = time.monotonic() + REQUEST_SECONDS
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._receive, conn))

    def _receive(self, conn: Connection, client: Any) -> None:
        """Take what has come; give a whole request to a thread."""
        try:
            piece = client.recv(MAX_COLLECTED)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        if not piece or conn.collect(piece):
            self.poller.unregister(client)
            self.pending_conns.remove(conn)
            if piece:
                self.enqueue_req(conn)
            else:
                self.nr_conns -= 1
                conn.close()

    def handle_request(self, req: Any, conn: Connection) -> Any:
        try:
            return super().handle_request(req, conn)
        except TimeoutError:
            # gunicorn would log a traceback for each slow reader.
            raise ConnectionResetError(errno.ECONNRESET, "the client reads too slowly") from None

    def _cap_keepalive(self, deadline: float) -> None:
        """A worker that stops waits no longer for requests that have not come than for kept connections."""
        super()._cap_keepalive(deadline)
        for conn in self.pending_conns:
            conn.timeout = min(conn.timeout, deadline)
