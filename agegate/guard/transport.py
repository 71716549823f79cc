"""The one way out to the network: GET, bounded in time and size, no redirects, sync and async."""

from __future__ import annotations

import time
from collections.abc import Mapping
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import httpx2

MAX_BODY_BYTES: Final = 1024 * 1024
TIMEOUT_S: Final = 3.0
NOTHING: Final = (0, b"")
"""What a transport gives back when no whole answer came."""

_HEADERS: Final = {
    "accept": "application/json, application/statuslist+jwt",
    # Packed answers would have to be unpacked within bounds; the list is packed already.
    "accept-encoding": "identity",
    # What stands in between must not add its own age to the list's.
    "cache-control": "no-cache",
    "user-agent": "agegate-guard",
}


class Transport(Protocol):
    """What the guard needs of a network: the status and the body, or `NOTHING`.

    Whatever is raised counts as `NOTHING`. An implementation bounds time and size by itself.
    """

    def get(self, url: str) -> tuple[int, bytes]: ...

    async def aget(self, url: str) -> tuple[int, bytes]: ...


class HttpTransport:
    """Over `httpx2`, loaded on the first use, because a guard is imported more often than asked.

    One client per call: the guard asks a few times a minute, and a connection that outlives an
    event loop or a fork is a fault that shows on a bad day only.
    """

    def get(self, url: str) -> tuple[int, bytes]:
        import httpx2

        deadline = time.monotonic() + TIMEOUT_S
        try:
            with (
                httpx2.Client(**_options(url)) as client,
                client.stream("GET", url, headers=_HEADERS) as response,
            ):
                body = bytearray()
                for chunk in response.iter_raw():
                    body += chunk
                    if len(body) > MAX_BODY_BYTES or time.monotonic() > deadline:
                        return NOTHING
                return _answer(response, bytes(body))
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError):
            return NOTHING

    async def aget(self, url: str) -> tuple[int, bytes]:
        import httpx2

        deadline = time.monotonic() + TIMEOUT_S
        try:
            async with (
                httpx2.AsyncClient(**_options(url)) as client,
                client.stream("GET", url, headers=_HEADERS) as response,
            ):
                body = bytearray()
                async for chunk in response.aiter_raw():
                    body += chunk
                    if len(body) > MAX_BODY_BYTES or time.monotonic() > deadline:
                        return NOTHING
                return _answer(response, bytes(body))
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError):
            return NOTHING


def _options(url: str) -> dict[str, Any]:
    """Proxies of the environment are for the world outside, not for this very machine."""
    outside = url.startswith("https:")
    return {"timeout": TIMEOUT_S, "follow_redirects": False, "trust_env": outside}


def _answer(response: httpx2.Response, body: bytes) -> tuple[int, bytes]:
    encoding = _headers(response).get("content-encoding", "identity")
    return NOTHING if encoding != "identity" else (response.status_code, body)


def _headers(response: httpx2.Response) -> Mapping[str, str]:
    return response.headers


def require_issuer_address(issuer: str) -> None:
    """Https, or plain http to this very machine. Raises `ValueError` saying what is wrong."""
    parts = urlsplit(issuer)
    if parts.username or parts.query or parts.fragment or not parts.hostname:
        raise ValueError("issuer must be an address like https://age.example")
    if issuer.endswith("/"):
        raise ValueError("issuer must be written as in its metadata: without a slash at the end")
    if parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname)):
        return
    raise ValueError("issuer must be https; plain http is for loopback only")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
