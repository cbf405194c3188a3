"""The socket of a connection by TLS: the same calls, encrypted.

OpenSSL works in memory, and the kernel is asked as for a plain connection. The standard library's
``SSLSocket`` knows neither the flags nor the timeouts of the kernel that this folder relies on, reads each
record with two system calls, and cannot be shut down under a thread that sends on it.
"""

import errno
import socket
import ssl
from contextlib import suppress
from typing import Any, Final

from datastorage.platform.server.quiet_socket import AT_ONCE, PIECE_BYTES, QuietSocket
from datastorage.platform.server.slow_readers import SlowReaders

RECORD_BYTES: Final = 16 * 1024
"""The most that one record holds; what is encrypted at once stays small in memory."""
RECEIVED_BYTES: Final = 32 * 1024


class TlsSocket(QuietSocket):
    """The server's end of a TLS connection. One thread uses it at a time; any may shut it down.

    Args:
        accepted: the object that ``accept`` returned.
        address: of the client.
        slow_readers: watches answers that the client does not take at once.
        context: has our certificate.
    """

    scheme = "https"

    def __init__(
        self, accepted: socket.socket, address: str, slow_readers: SlowReaders, context: ssl.SSLContext
    ) -> None:
        super().__init__(accepted, address, slow_readers)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._unsent = b""
        """Encrypted, and not taken by the kernel yet."""
        self._is_established = False
        self._is_over = False
        self._has_said_goodbye = False

    @property
    def has_unsent(self) -> bool:  # type: ignore[override]
        """Whether something is encrypted that the kernel has not taken."""
        return bool(self._unsent)

    def recv(self, _size: int, flags: int = 0, /) -> bytes:
        """Return what has arrived, whatever its size: nothing that is decrypted stays behind unseen.

        Takes the next step of the handshake as long as there is one.

        Raises:
            BlockingIOError: nothing has come, or no complete record.
            ssl.SSLError: the handshake has failed, and an alert has been sent.
            ConnectionResetError: what came is no TLS, or was changed on its way.
        """
        received = b"" if self._is_over else super().recv(RECEIVED_BYTES, flags)
        if not received:
            self._is_over = True
            return b""
        self._incoming.write(received)
        self.is_in_handshake = not self._is_established
        try:
            plain = self._decrypt() if self._is_established or self._shake_hands() else b""
        finally:
            self._send_queued()
        if not plain and not self._is_over:
            raise BlockingIOError(errno.EAGAIN, "no complete record")
        return plain

    def _shake_hands(self) -> bool:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError:
            self._is_over = True
            raise
        self._is_established = True
        self.is_in_handshake = False
        return True

    def _decrypt(self) -> bytes:
        records = []
        try:
            while not self._is_over and (self._incoming.pending or self._tls.pending()):
                record = self._tls.read(RECORD_BYTES)
                self._is_over = not record
                records.append(record)
        except ssl.SSLWantReadError:
            pass  # the rest of a record is on its way
        except ssl.SSLError as error:
            self._is_over = True
            raise ConnectionResetError(errno.ECONNRESET, "no valid record") from error
        return b"".join(records)

    def send(self, data: Any, flags: int = 0, /) -> int:
        """Encrypt a piece and return its length; what the kernel leaves of it goes before the next one.

        Raises:
            BlockingIOError: the kernel does not take what is left of the piece before.
        """
        self._flush(flags)
        piece = memoryview(data)[:PIECE_BYTES]
        for start in range(0, len(piece), RECORD_BYTES):
            self._encrypt(piece[start : start + RECORD_BYTES])
        with suppress(BlockingIOError):
            self._flush(flags | AT_ONCE)
        return len(piece)

    def _encrypt(self, data: memoryview) -> None:
        try:
            self._tls.write(data)
        except ssl.SSLError as error:
            raise ConnectionResetError(errno.ECONNRESET, "the connection has ended") from error
        self._unsent += self._outgoing.read()

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        """Send everything, together with what was held."""
        super().sendall(data, flags)
        if self._unsent:
            self._send_rest(memoryview(b""))

    def _send_waiting(self, rest: memoryview) -> None:
        super()._send_waiting(rest)
        self._flush()

    def _flush(self, flags: int = 0) -> None:
        while self._unsent:
            sent = super().send(self._unsent, flags)
            self._unsent = self._unsent[sent:]

    def _send_queued(self) -> None:
        """Send what OpenSSL has to say by itself, as far as the kernel takes it.

        The part of a handshake fits into the kernel's buffer, which is empty then. A client that has none for
        it is closed when its time for the handshake is over.
        """
        if self._outgoing.pending:
            self._unsent += self._outgoing.read()
            with suppress(OSError):  # the client is gone: the next read tells
                self._flush(AT_ONCE)

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """Send what was held, then a file, which has to pass through this process."""
        file.seek(offset)
        sent = 0
        while piece := file.read(PIECE_BYTES if count is None else min(PIECE_BYTES, count - sent)):
            self.sendall(piece)
            sent += len(piece)
        self.release()
        return sent

    def shutdown(self, how: int, /) -> None:
        """End our half, in words of TLS too, or both, without: another thread may be sending."""
        if how == socket.SHUT_WR:
            self._say_goodbye()
        super().shutdown(how)

    def close(self) -> None:
        """Close it, in the way that tells a client that nothing was cut off."""
        self._say_goodbye()
        super().close()

    def _say_goodbye(self) -> None:
        if not self._is_established or self._has_said_goodbye:
            return
        self._has_said_goodbye = True
        with suppress(OSError):  # the client's own goodbye is not awaited
            self._tls.unwrap()
        self._send_queued()


def socket_of(
    accepted: socket.socket, address: str, slow_readers: SlowReaders, context: ssl.SSLContext | None
) -> QuietSocket:
    """Return the socket of an accepted connection: encrypted, if there is a context."""
    if context is None:
        return QuietSocket(accepted, address, slow_readers)
    return TlsSocket(accepted, address, slow_readers, context)
