"""POST to an address that somebody else chose, without being led anywhere else.

The name is looked up once, every address it has must be public, and the connection goes to one of
those that were looked at. TLS speaks to the name and checks its certificate. No redirect is
followed, no proxy asked, no cookie kept.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from typing import Any, Final, Self
from urllib.parse import SplitResult, urlsplit

from agegate.services.webhooks import WebhookError

WITHIN_S: Final = 15.0
MAX_ANSWER: Final = 64 * 1024

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[..., list[tuple[Any, ...]]]
"""With the arguments and the answer of `socket.getaddrinfo`."""

_UNICAST: Final = ipaddress.IPv6Network("2000::/3")  # RFC 4291 section 2.4: all that is given out
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052 section 2.1
_NOT_OURS_TO_REACH: Final = tuple(
    ipaddress.ip_network(text)
    for text in (
        "168.63.129.16/32",  # a cloud's own services, at a public address
        "192.0.0.0/24",  # RFC 6890
        "192.31.196.0/24",  # AS112, RFC 7535
        "192.52.193.0/24",  # AMT, RFC 7450
        "192.88.99.0/24",  # 6to4 relays, RFC 7526
        "192.175.48.0/24",  # AS112, RFC 7534
        "2001::/23",  # RFC 2928: Teredo, ORCHID, benchmarking and the like
        "2001:db8::/32",
        "2002::/16",  # 6to4 leads to an IPv4 address of the sender's choice
        "2620:4f:8000::/48",  # AS112, RFC 7534
        "3fff::/20",  # RFC 9637
    )
)


class HttpWebhookSender:
    """Implements `WebhookSender`. Safe to share between threads.

    `allow` names `host:port` targets that may be private and plain http; leave it empty in
    production. `within_s` is the time for everything after the look-up of the name.
    """

    def __init__(
        self,
        *,
        allow: Collection[str] = (),
        tls: ssl.SSLContext | None = None,
        resolve: Resolve = socket.getaddrinfo,
        within_s: float = WITHIN_S,
    ) -> None:
        self._allow = frozenset(allow)
        self._given_tls = tls
        self._resolve = resolve
        self._within_s = within_s

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """Made when first needed: a web process never posts, and reading all roots is slow."""
        return self._given_tls or ssl.create_default_context()

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        parts, host, port = _take_apart(url)
        is_exempt = _authority(host, port) in self._allow
        if parts.scheme != "https" and not (parts.scheme == "http" and is_exempt):
            raise WebhookError("not_https")
        family, address = self._look_up(host, port, is_exempt=is_exempt)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection = http.client.HTTPConnection(host, port)
        with socket.socket(family, socket.SOCK_STREAM) as plain, _Deadline(self._within_s) as end:
            end.guard(plain)
            try:
                plain.settimeout(self._within_s)
                plain.connect(address)
                connection.sock = (
                    self._secured(plain, host, end) if parts.scheme == "https" else plain
                )
                connection.request("POST", path, body=body, headers=dict(headers))
                status = _status_of(connection, end)
            except (OSError, http.client.HTTPException) as error:
                raise WebhookError("timeout" if end.is_over else _code_of(error)) from None
            finally:
                connection.close()
        return status

    def _look_up(self, host: str, port: int, *, is_exempt: bool) -> tuple[int, Any]:
        """One address to go to. Raises `WebhookError` where any of them is not public."""
        try:
            found = self._resolve(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise WebhookError("no_such_host") from None
        if not found:
            raise WebhookError("no_such_host")
        if not is_exempt and not all(is_public(str(entry[4][0])) for entry in found):
            raise WebhookError("forbidden_address")
        return found[0][0], found[0][4]

    def _secured(self, plain: socket.socket, host: str, end: _Deadline) -> ssl.SSLSocket:
        secured = self._tls.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False)
        try:
            end.guard(secured)
            secured.do_handshake()
        except BaseException:
            secured.close()  # `plain` has given its connection away
            raise
        return secured


def is_public(text: str) -> bool:
    """Whether an address is one of the open internet.

    One that stands for an IPv4 address is judged as that; every IPv6 range that nobody is given
    is refused.
    """
    try:
        address: Address = ipaddress.ip_address(text)  # a scope ("%eth0") makes it link-local
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            address = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        elif address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        elif address not in _UNICAST or address.scope_id is not None:
            return False
    if any(address in network for network in _NOT_OURS_TO_REACH):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


class _Deadline:
    """Ends a connection when time is up, however slowly bytes keep coming."""

    def __init__(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self.is_over = False

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        with self._lock:
            self._socket = None  # its number may be somebody else's soon

    def guard(self, sock: socket.socket) -> None:
        """End this one from now on. Raises `TimeoutError` when it is too late for that."""
        with self._lock:
            if self.is_over:
                raise TimeoutError
            self._socket = sock

    def _end(self) -> None:
        with self._lock:
            self.is_over = True
            if self._socket is not None:
                try:
                    # Not `SSLSocket.shutdown`, which would turn the rest into plain text.
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
                except OSError:
                    return  # not connected yet, or no longer


def _take_apart(url: str) -> tuple[SplitResult, str, int]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise WebhookError("bad_address") from None
    if not host or "@" in parts.netloc or not url.isascii() or not url.isprintable() or " " in url:
        raise WebhookError("bad_address")
    return parts, host, port or (443 if parts.scheme == "https" else 80)


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _status_of(connection: http.client.HTTPConnection, end: _Deadline) -> int:
    with connection.getresponse() as answer:
        if end.is_over:
            raise TimeoutError  # a head that was cut off by us looks like one that is complete
        try:
            # Nobody looks at it. A receiver that is still writing is not cut off for a few lines.
            answer.read(MAX_ANSWER)
        except (OSError, http.client.HTTPException):
            return answer.status  # it has said what matters
        return answer.status


def _code_of(error: Exception) -> str:
    """A word for the operator; the error's own text may hold anything the other side sent."""
    match error:
        case TimeoutError():
            return "timeout"
        case ssl.SSLCertVerificationError():
            return "bad_certificate"
        case ssl.SSLError():
            return "tls_failed"
        case http.client.HTTPException():
            return "bad_answer"
        case _:
            return "unreachable"
