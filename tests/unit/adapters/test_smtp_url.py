from __future__ import annotations

import pytest

from agegate.adapters.mail.smtp import SmtpMailer, SmtpServer, parse_smtp_url
from agegate.domain.errors import ConfigurationError


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://mail", SmtpServer(host="mail", port=25, tls=False, starttls=False)),
        ("smtp://mail?starttls=1", SmtpServer(host="mail", port=587, tls=False, starttls=True)),
        ("smtps://mail/", SmtpServer(host="mail", port=465, tls=True, starttls=False)),
        (
            "smtp://mail:2525?starttls=0",
            SmtpServer(host="mail", port=2525, tls=False, starttls=False),
        ),
        (
            "smtps://u%40x:p%3Aw%2F@mail",
            SmtpServer(
                host="mail", port=465, tls=True, starttls=False, user="u@x", password="p:w/"
            ),
        ),
        (
            "smtp://u:p@[::1]:25",
            SmtpServer(host="::1", port=25, tls=False, starttls=False, user="u", password="p"),
        ),
        (
            "smtp://u:p@localhost",
            SmtpServer(
                host="localhost", port=25, tls=False, starttls=False, user="u", password="p"
            ),
        ),
    ],
)
def test_an_smtp_address_is_understood(url: str, expected: SmtpServer) -> None:
    assert parse_smtp_url(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mail:25",
        "http://mail",
        "smtp://",
        "smtp://mail:port",
        "smtp://mail:99999",
        "smtp://mail?starttls=yes",
        "smtp://mail?tls=1",
        "smtp://mail?starttls",
        "smtp://mail/inbox",
        "smtps://mail?starttls=1",
        "smtps://s3cret@mail",
        "smtp://agegate:s3cret@mail.example:25",
    ],
)
def test_a_useless_smtp_address_is_refused_without_quoting_it(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_smtp_url(url)
    assert "s3cret" not in str(caught.value)


def test_a_password_does_not_show() -> None:
    assert "s3cret" not in repr(parse_smtp_url("smtps://u:s3cret@mail"))


@pytest.mark.parametrize("sender", ["", "agegate", "a b <x>", "a@", "x@y\r\nBcc: z@z.example"])
def test_a_useless_sender_is_refused(sender: str) -> None:
    with pytest.raises(ConfigurationError, match="sender"):
        SmtpMailer("smtp://mail", sender)
