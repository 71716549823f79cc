"""Letters leave over SMTP: one connection for each, standard library only.

What went wrong becomes a code. The server's own text goes no further, because it holds addresses.
"""

from __future__ import annotations

import base64
import contextlib
import email.policy
import ipaddress
import smtplib
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from typing import Final, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from agegate.domain.errors import ConfigurationError
from agegate.domain.people import EmailAddress
from agegate.services.ports import MailError, Rendered

T = TypeVar("T")

TIMEOUT: Final = 15.0
"""Seconds for each step. Longer than a greeting delay, shorter than the outbox's lease."""
_LONGEST_LINE: Final = 998
"""RFC 5322 2.1.1."""
_POLICY: Final = email.policy.SMTP.clone(max_line_length=_LONGEST_LINE)
"""At 78 columns the library begins some headers with an empty line and loses spaces."""
_WORD_BYTES: Final = 45
"""So many bytes make an encoded word of 72 characters; 75 are allowed (RFC 2047 2)."""
_GOODBYE: Final = 2.0
_PERMANENT: Final = range(500, 600)
_LOGIN_CODES: Final = frozenset({530, 534, 535, 538})
"""Other credentials are wanted (RFC 4954): our fault, not a word about the parent's address."""
_DEFAULT_PORTS: Final[Mapping[tuple[str, bool], int]] = {
    ("smtp", False): 25,
    ("smtp", True): 587,
    ("smtps", False): 465,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpServer:
    """`smtp://user:pass@host:port?starttls=1` or `smtps://…`, taken apart."""

    host: str
    port: int
    tls: bool
    starttls: bool
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)


def parse_smtp_url(url: str) -> SmtpServer:
    """Raises `ConfigurationError`, which does not quote the address: it holds a password."""
    try:
        parts = urlsplit(url)
        port = parts.port
        query = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
    except ValueError:
        raise ConfigurationError("the SMTP address can't be read") from None
    starttls = query.pop("starttls", "0")
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
        raise ConfigurationError("the SMTP address must look like smtp://host:port or smtps://host")
    if query or starttls not in {"0", "1"} or parts.path not in {"", "/"} or parts.fragment:
        raise ConfigurationError("the SMTP address knows one option, starttls=1")
    tls = parts.scheme == "smtps"
    if tls and starttls == "1":
        raise ConfigurationError("smtps:// is encrypted from the start: leave starttls out")
    if (parts.username is None) != (parts.password is None):
        raise ConfigurationError("the SMTP address needs a user and a password, or neither")
    if parts.username and not (tls or starttls == "1" or _is_loopback(parts.hostname)):
        raise ConfigurationError(
            "the SMTP password would cross the network in the clear: use smtps:// or starttls=1"
        )
    return SmtpServer(
        host=parts.hostname,
        port=port or _DEFAULT_PORTS[parts.scheme, starttls == "1"],
        tls=tls,
        starttls=starttls == "1",
        user=None if parts.username is None else unquote(parts.username),
        password=None if parts.password is None else unquote(parts.password),
    )


class SmtpMailer:
    """Implements `Mailer`. `context` holds the certificates to trust; the system's by default."""

    def __init__(
        self,
        url: str,
        mail_from: str,
        *,
        timeout: float = TIMEOUT,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._server = parse_smtp_url(url)
        self._from = _sender(mail_from)
        self._timeout = timeout
        self._context = context or ssl.create_default_context()

    def send(
        self,
        rendered: Rendered,
        *,
        to: EmailAddress,
        kind: str,  # noqa: ARG002 - the port's; a server need not know it
        message_id: str,
        language: str,
        now: datetime,
    ) -> None:
        """Hand over one letter. Once the server took it, nothing that follows is an error."""
        recipient = _recipient(to)
        # RFC 6531: an address such as josé@… needs a server that knows how.
        international = not recipient.addr_spec.isascii()
        letter = _letter(
            rendered,
            sender=self._from,
            recipient=recipient,
            message_id=message_id,
            language=language,
            now=now,
            utf8=international,
        )
        connection = _guarded(self._connect)
        try:
            _guarded(
                lambda: connection.sendmail(
                    self._from.addr_spec,
                    [recipient.addr_spec],
                    letter,
                    mail_options=["SMTPUTF8"] if international else (),
                )
            )
            _leave(connection)
        finally:
            connection.close()

    def _connect(self) -> smtplib.SMTP:
        server = self._server
        # Without a name of its own, smtplib looks ours up, which can take long and tells a name
        # of this machine to the world.
        name = self._from.domain
        connection: smtplib.SMTP
        if server.tls:
            connection = smtplib.SMTP_SSL(
                server.host,
                server.port,
                local_hostname=name,
                timeout=self._timeout,
                context=self._context,
            )
        else:
            connection = smtplib.SMTP(
                server.host, server.port, local_hostname=name, timeout=self._timeout
            )
        try:
            if server.starttls:
                connection.starttls(context=self._context)
            if server.user is not None and server.password is not None:
                connection.login(server.user, server.password)
        except BaseException:
            connection.close()
            raise
        return connection


def _leave(connection: smtplib.SMTP) -> None:
    """Say goodbye. A server that answers badly, or not at all, has still taken the letter."""
    with contextlib.suppress(OSError):
        if connection.sock is not None:
            connection.sock.settimeout(_GOODBYE)
        connection.quit()


def _guarded(action: Callable[[], T]) -> T:
    """Run one part of the conversation; whatever goes wrong in it becomes a `MailError`."""
    try:
        return action()
    except (OSError, MessageError, ValueError) as error:  # every SMTPException is an OSError
        failure = _failure(error)
    # Outside of the handler, so that the server's text does not travel along as a context.
    raise failure


def _failure(error: Exception) -> MailError:
    match error:
        case smtplib.SMTPAuthenticationError():
            return MailError("smtp_login", permanent=False)
        case smtplib.SMTPRecipientsRefused(recipients=refusals):
            return _answer(max((code for code, _ in refusals.values()), default=450))
        case smtplib.SMTPConnectError(smtp_code=code) | smtplib.SMTPHeloError(smtp_code=code):
            # A server that greets nobody is down; it knows nothing of this letter.
            return MailError(f"smtp_{code}", permanent=False)
        case smtplib.SMTPResponseException(smtp_code=code):
            return _answer(code)
        case smtplib.SMTPServerDisconnected():
            return MailError("smtp_disconnected", permanent=False)
        case smtplib.SMTPNotSupportedError():
            # No STARTTLS, no login, or no international addresses: a setting or another server
            # can change that, and nothing was said about the parent's address.
            return MailError("smtp_not_supported", permanent=False)
        case ssl.SSLError():
            return MailError("smtp_tls", permanent=False)
        case TimeoutError():
            return MailError("smtp_timeout", permanent=False)
        case OSError():
            return MailError("smtp_unreachable", permanent=False)
        case _:
            # A password outside ASCII, for one. The letter itself was sound before we connected.
            return MailError("smtp_failed", permanent=False)


def _answer(code: int) -> MailError:
    permanent = code in _PERMANENT and code not in _LOGIN_CODES
    return MailError(f"smtp_{code}", permanent=permanent)


def _letter(
    rendered: Rendered,
    *,
    sender: Address,
    recipient: Address,
    message_id: str,
    language: str,
    now: datetime,
    utf8: bool,
) -> bytes:
    message = EmailMessage(policy=email.policy.SMTP)
    try:
        message.set_content(rendered.text, charset="utf-8", cte="quoted-printable")
        message.add_alternative(
            rendered.html, subtype="html", charset="utf-8", cte="quoted-printable"
        )
        message["From"] = sender
        message["To"] = recipient
        message["Date"] = format_datetime(now)
        message["Message-ID"] = f"<{message_id.strip('<>')}>"
        # RFC 3834 5: holiday notes and list software leave such letters alone.
        message["Auto-Submitted"] = "auto-generated"
        # After the parts: adding one moves the Content headers of before into it.
        message["Content-Language"] = language
        return _subject(rendered.subject) + message.as_bytes(policy=_POLICY.clone(utf8=utf8))
    except (MessageError, ValueError):
        # A line break in a header, for one; the error's text would quote it.
        raise MailError("letter_unusable", permanent=True) from None


def _subject(text: str) -> bytes:
    """The header line. Plain where it can be, else RFC 2047 words that break between characters."""
    if not text.isprintable():
        raise ValueError
    if text.isascii() and "=?" not in text and len(text) < _LONGEST_LINE // 2:
        return f"Subject: {text}\r\n".encode("ascii")
    chunks = [b""]
    for character in text:
        encoded = character.encode()
        if len(chunks[-1]) + len(encoded) > _WORD_BYTES:
            chunks.append(b"")
        chunks[-1] += encoded
    words = (b"=?utf-8?b?" + base64.b64encode(chunk) + b"?=" for chunk in chunks)
    return b"Subject: " + b"\r\n ".join(words) + b"\r\n"


def _sender(mail_from: str) -> Address:
    name, address = parseaddr(mail_from)
    try:
        if not mail_from.isprintable():
            raise ValueError
        return Address(display_name=name, addr_spec=_wire_form(address))
    except (MessageError, ValueError, IndexError):
        raise ConfigurationError(
            "the sender of letters must look like name@host or Name <name@host>"
        ) from None


def _recipient(to: EmailAddress) -> Address:
    try:
        address = _wire_form(to.value)
        if address.isascii():
            return Address(addr_spec=address)
        local, _, host = address.rpartition("@")
        return Address(username=local, domain=host)
    except (MessageError, ValueError, IndexError):
        raise MailError("address_unusable", permanent=True) from None


def _wire_form(address: str) -> str:
    """With the host in its ASCII form, which every mail server takes. Raises `ValueError`."""
    local, at, host = address.rpartition("@")
    if not (local and at and host):
        raise ValueError
    return f"{local}@{host.encode('idna').decode()}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
