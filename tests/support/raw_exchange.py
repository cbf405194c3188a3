"""Bytes in, answer out: for what no HTTP client would send."""

import socket
from email.parser import BytesParser
from urllib.parse import urlsplit

from urllib3 import HTTPHeaderDict

from tests.support.http import Answer, Api


def exchange(api: Api, sent: bytes) -> Answer:
    """Send bytes on a connection of their own, and return everything until the service hangs up."""
    parts = urlsplit(api.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as connection:
        connection.sendall(sent)
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = received.partition(b"\r\n\r\n")
    status_line, _, header_lines = head.partition(b"\r\n")
    headers = BytesParser().parsebytes(header_lines, headersonly=True)
    return Answer(int(status_line.split()[1]), HTTPHeaderDict(headers.items()), body)
