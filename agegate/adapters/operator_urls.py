"""Addresses in an operator file: which ones a browser, a token or a webhook may be sent to."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from typing import Final
from urllib.parse import SplitResult, urlsplit

MAX_URL: Final = 1000
MAX_HOST: Final = 253  # RFC 1035 section 2.3.4, without the last dot

_PRINTABLE = re.compile(r"[\x21-\x7e]+", re.ASCII)
_FORBIDDEN = re.compile(r"[\\<>\"`{}|^]")
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)", re.ASCII)
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052 section 2.1
_LOCAL_ENDINGS: Final = (".localhost", ".local", ".internal", ".lan", ".home.arpa", ".onion")


def check_url(text: str) -> SplitResult:
    """An absolute http or https address without anything that two programs could read in two ways.

    Raises `ValueError` with a sentence. Fragments are refused: RFC 6749 section 3.1.2 for
    redirects, RFC 8707 section 2 for resources.
    """
    if len(text) > MAX_URL:
        raise ValueError(f"must be at most {MAX_URL} characters long")
    if not _PRINTABLE.fullmatch(text):
        raise ValueError("must be written in ASCII without spaces; write other characters as %XX")
    if _FORBIDDEN.search(text):
        raise ValueError('must not hold any of \\ < > " ` { } | ^')
    if "*" in text:
        raise ValueError("must be one exact address; wildcards are not allowed")
    if "#" in text:
        raise ValueError("must not have a fragment (#…)")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("must be a whole address, such as https://app.example/path") from None
    if not parts.scheme or not host:
        raise ValueError("must be a whole address, such as https://app.example/path")
    if "@" in parts.netloc:
        raise ValueError("must not hold a user name or password")
    if parts.netloc.endswith(":") or port == 0:
        raise ValueError("must name a port from 1 to 65535 or none")
    if _address(host) is None and not _is_host_name(host):
        raise ValueError("must name a host that exists in the usual form, such as app.example")
    return parts


def check_https(text: str, *, loopback_ok: bool) -> str:
    """https, or http on this machine where `loopback_ok`. Raises `ValueError` with a sentence."""
    parts = check_url(text)
    if parts.scheme == "https" or (
        parts.scheme == "http" and loopback_ok and is_loopback(parts.hostname or "")
    ):
        return text
    if parts.scheme == "http" and is_loopback(parts.hostname or ""):
        raise ValueError(
            "must begin with https:// (http on loopback is for native clients, and for all "
            "clients outside production)"
        )
    raise ValueError("must begin with https://")


def check_webhook(text: str, *, allow: Collection[str]) -> str:
    """A public https address, or one whose `host:port` is in `allow`. Raises `ValueError`.

    Names are looked up only when an event is sent, so the sender checks the address again then.
    """
    parts = check_url(text)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    bracketed = f"[{host}]" if ":" in host else host
    if parts.scheme in {"http", "https"} and f"{bracketed}:{port}" in allow:
        return text
    if parts.scheme != "https":
        raise ValueError("must begin with https://")
    address = _address(host)
    if address is not None and not (address.is_global and not address.is_multicast):
        raise ValueError("must not point into a private network or at this machine")
    if is_loopback(host) or host.endswith(_LOCAL_ENDINGS) or (address is None and "." not in host):
        raise ValueError("must not point into a private network or at this machine")
    return text


def is_loopback(host: str) -> bool:
    """RFC 8252 section 7.3's literals and `localhost`."""
    return host in {"localhost", "127.0.0.1", "::1"}


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        # An IPv4 address in disguise is judged as what it is.
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        return address.ipv4_mapped or address.sixtofour or address
    return address


def _is_host_name(host: str) -> bool:
    labels = host.split(".")
    # A last label of digits (or hex) makes browsers read the whole as an IPv4 address in one of its
    # odd spellings (2130706433, 127.1, 0x7f.1), and other programs do not.
    numeric = re.fullmatch(r"[0-9]+|0x[0-9a-f]*", labels[-1], re.IGNORECASE)
    return (
        len(host) <= MAX_HOST
        and numeric is None
        and all(_LABEL.fullmatch(label) for label in labels)
    )
