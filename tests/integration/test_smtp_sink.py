"""The mail server under the tests is real, and misbehaves exactly as told."""

from __future__ import annotations

import smtplib
import ssl
from email.message import EmailMessage
from pathlib import Path

import pytest

from tests.support.certificates import Certificate
from tests.support.smtp_sink import SmtpSink


def _send(sink: SmtpSink, *, subject: str = "Guten Tag", seconds: float = 5) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@example.com", "b@example.com", subject
    message.set_content("plain words\n")
    message.add_alternative("<p>marked words</p>\n", subtype="html")
    with smtplib.SMTP("127.0.0.1", sink.port, timeout=seconds) as client:
        if sink.user:
            client.login(sink.user, sink.password or "")
        client.send_message(message)


def test_it_keeps_what_it_accepts(smtp_sink: SmtpSink) -> None:
    _send(smtp_sink, subject="Año nuevo")
    [letter] = smtp_sink.wait_for(1)
    assert letter.subject == "Año nuevo"
    assert letter.rcpt_tos == ("b@example.com",)
    assert "plain words" in letter.part("plain")
    assert "<p>marked words</p>" in letter.part("html")
    assert smtp_sink.to("b@example.com") == [letter]


def test_refused_connections_come_back_on_the_same_port(smtp_sink: SmtpSink) -> None:
    smtp_sink.refuse()
    with pytest.raises(ConnectionRefusedError):
        _send(smtp_sink)
    smtp_sink.heal()
    _send(smtp_sink)
    assert len(smtp_sink.letters) == 1


def test_a_greylisted_recipient_may_come_again(smtp_sink: SmtpSink) -> None:
    smtp_sink.answer_rcpt("451 4.7.1 greylisted", times=1)
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        _send(smtp_sink)
    assert refused.value.recipients["b@example.com"][0] == 451
    _send(smtp_sink)
    assert len(smtp_sink.letters) == 1


def test_an_unknown_mailbox_stays_unknown(smtp_sink: SmtpSink) -> None:
    smtp_sink.answer_rcpt("550 5.1.1 no such mailbox")
    for _ in range(2):
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            _send(smtp_sink)
    assert smtp_sink.letters == []


def test_a_hang_lasts_as_long_as_the_client_waits(smtp_sink: SmtpSink) -> None:
    smtp_sink.hang("rcpt")
    with pytest.raises(smtplib.SMTPServerDisconnected, match="timed out"):
        _send(smtp_sink, seconds=0.3)
    assert smtp_sink.letters == []


def test_a_lost_acknowledgement_keeps_the_letter(smtp_sink: SmtpSink) -> None:
    smtp_sink.drop_after_data()
    with pytest.raises(smtplib.SMTPServerDisconnected):
        _send(smtp_sink)
    assert len(smtp_sink.letters) == 1


def test_a_line_can_be_encrypted(tmp_path: Path) -> None:
    certificate = Certificate.make(tmp_path)
    with SmtpSink(user="u", password="right", certificate=certificate) as sink:
        assert sink.url.endswith("?starttls=1")
        with smtplib.SMTP("127.0.0.1", sink.port, timeout=5) as client:
            client.starttls(context=certificate.trusting_context())
            assert client.login("u", "right")[0] == 235
        with (
            smtplib.SMTP("127.0.0.1", sink.port, timeout=5) as client,
            pytest.raises(ssl.SSLCertVerificationError),
        ):
            client.starttls(context=ssl.create_default_context())


def test_a_password_is_asked_for_when_one_is_set() -> None:
    with SmtpSink(user="u", password="right") as sink:
        _send(sink)
        assert len(sink.letters) == 1
        sink.password = "other"
        with (
            smtplib.SMTP("127.0.0.1", sink.port, timeout=5) as client,
            pytest.raises(smtplib.SMTPAuthenticationError),
        ):
            client.login("u", "right")
