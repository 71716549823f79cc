"""Letters over real SMTP: what is on the wire, and what each way of failing means."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from agegate.adapters.mail.smtp import SmtpMailer
from agegate.domain.people import EmailAddress
from agegate.services.ports import MailError, Rendered
from tests.factories import NOON
from tests.support.postgres import free_port
from tests.support.smtp_sink import SmtpSink

LETTER = Rendered(
    subject="Leo’s app asks: ¿permiso?",
    text="Número: “uno”\n" + "a" * 1200 + "\n.\nend\n",
    html="<p>Número: “uno”</p>\n",
)
SENDER = "agegate <letters@age.example>"


def send(
    mailer: SmtpMailer, *, to: str = "mum@example.org", message_id: str = "ag-1@age.example"
) -> None:
    mailer.send(
        LETTER,
        to=EmailAddress(to),
        kind="direct_notice",
        message_id=message_id,
        language="es",
        now=NOON,
    )


def failure(mailer: SmtpMailer, *, to: str = "mum@example.org") -> tuple[str, bool]:
    with pytest.raises(MailError) as caught:
        send(mailer, to=to)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    return caught.value.code, caught.value.permanent


@pytest.fixture
def mailer(smtp_sink: SmtpSink) -> SmtpMailer:
    return SmtpMailer(smtp_sink.url, SENDER, timeout=5)


# --- the wire ----------------------------------------------------------------------------------


def test_headers_say_what_they_must_and_nothing_else(
    mailer: SmtpMailer, smtp_sink: SmtpSink
) -> None:
    send(mailer)
    (letter,) = smtp_sink.letters
    assert letter.mail_from == "letters@age.example"
    assert letter.rcpt_tos == ("mum@example.org",)
    assert {name.lower() for name in letter.message} - {"x-peer", "x-mailfrom", "x-rcptto"} == {
        "from", "to", "subject", "date", "message-id", "auto-submitted", "content-language",
        "mime-version", "content-type",
    }  # fmt: skip
    assert letter.message["From"] == SENDER
    assert letter.message["Message-ID"] == "<ag-1@age.example>"
    assert letter.message["Auto-Submitted"] == "auto-generated"
    assert letter.message["Content-Language"] == "es"
    assert letter.message["Date"].datetime == NOON
    assert letter.message["List-Unsubscribe"] is None


def test_both_parts_arrive_whole_with_the_richer_one_last(
    mailer: SmtpMailer, smtp_sink: SmtpSink
) -> None:
    send(mailer)
    (letter,) = smtp_sink.letters
    assert letter.subject == LETTER.subject
    assert letter.message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in letter.message.iter_parts()] == [
        "text/plain",
        "text/html",
    ]
    assert letter.part("plain").replace("\r\n", "\n") == LETTER.text
    assert letter.part("html").replace("\r\n", "\n") == LETTER.html
    # RFC 5321 4.5.3.1.6, with a wide margin, and no byte that needs 8BITMIME.
    assert max(len(line) for line in letter.raw.split(b"\r\n")) <= 90
    assert letter.raw.isascii()


def test_a_long_message_id_is_not_folded_or_encoded(
    mailer: SmtpMailer, smtp_sink: SmtpSink
) -> None:
    id_ = f"ag-{'f' * 64}@letters.age.example"
    send(mailer, message_id=f"<{id_}>")
    assert smtp_sink.letters[0].message["Message-ID"] == f"<{id_}>"
    assert f"<{id_}>".encode() in smtp_sink.letters[0].raw


def test_a_host_outside_ascii_is_reached_by_its_wire_name(
    mailer: SmtpMailer, smtp_sink: SmtpSink
) -> None:
    send(mailer, to="mum@bücher.example")
    assert smtp_sink.letters[0].rcpt_tos == ("mum@xn--bcher-kva.example",)


def test_a_person_outside_ascii_is_reached_too(mailer: SmtpMailer, smtp_sink: SmtpSink) -> None:
    send(mailer, to="josé@example.org")
    (letter,) = smtp_sink.letters
    assert letter.rcpt_tos == ("josé@example.org",)
    assert letter.subject == LETTER.subject


@pytest.mark.parametrize(
    "subject",
    [
        "StoryBuddy asks for your permission, for a child who gave your address",
        "a" * 3000,
        "what =?utf-8?q?this?= says",
        "  ".join("漢字😀éñ" * 9) + " end",
        " ".join(["palabra"] * 12) + " ñ",
    ],
)
def test_any_subject_arrives_as_it_was_written(
    mailer: SmtpMailer, smtp_sink: SmtpSink, subject: str
) -> None:
    mailer.send(
        replace(LETTER, subject=subject),
        to=EmailAddress("mum@example.org"),
        kind="receipt",
        message_id="ag-1@age.example",
        language="en",
        now=NOON,
    )
    (letter,) = smtp_sink.letters
    assert letter.subject == subject
    head = letter.raw.partition(b"\r\n\r\n")[0]
    assert max(len(line) for line in head.split(b"\r\n")) <= 90
    assert b"Subject:\r\n" not in head


def test_a_server_with_a_password_gets_it(smtp_sink: SmtpSink) -> None:
    with SmtpSink(user="agegate", password="p4ss") as sink:
        send(SmtpMailer(sink.url, SENDER, timeout=5))
        assert len(sink.letters) == 1


# --- faults ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "answer", "expected"),
    [
        ("mail", "421 4.3.2 closing", ("smtp_421", False)),
        ("mail", "451 4.3.0 later", ("smtp_451", False)),
        ("mail", "530 5.7.0 login first", ("smtp_530", False)),
        ("mail", "553 5.1.8 no such sender", ("smtp_553", True)),
        ("rcpt", "421 4.3.2 closing", ("smtp_421", False)),
        ("rcpt", "450 4.2.1 busy", ("smtp_450", False)),
        ("rcpt", "452 4.2.2 full", ("smtp_452", False)),
        ("rcpt", "550 5.1.1 unknown", ("smtp_550", True)),
        ("rcpt", "554 5.7.1 no", ("smtp_554", True)),
        ("data", "451 4.3.0 later", ("smtp_451", False)),
        ("data", "552 5.3.4 too big", ("smtp_552", True)),
        ("data", "554 5.6.0 refused", ("smtp_554", True)),
    ],
)
def test_an_answer_decides_whether_to_try_again(
    mailer: SmtpMailer, smtp_sink: SmtpSink, step: str, answer: str, expected: tuple[str, bool]
) -> None:
    getattr(smtp_sink, f"answer_{step}")(answer)
    assert failure(mailer) == expected
    assert smtp_sink.letters == []
    smtp_sink.heal()
    send(mailer)
    assert len(smtp_sink.letters) == 1


def test_a_server_that_is_down_is_tried_again(mailer: SmtpMailer, smtp_sink: SmtpSink) -> None:
    smtp_sink.refuse()
    assert failure(mailer) == ("smtp_unreachable", False)
    smtp_sink.heal()
    send(mailer)
    assert len(smtp_sink.letters) == 1


def test_a_host_that_does_not_exist_is_tried_again() -> None:
    mailer = SmtpMailer("smtp://localhost:1", SENDER, timeout=1)
    assert failure(mailer) == ("smtp_unreachable", False)


def test_a_server_that_hangs_is_left_and_tried_again(smtp_sink: SmtpSink) -> None:
    smtp_sink.hang("rcpt", times=1)
    mailer = SmtpMailer(smtp_sink.url, SENDER, timeout=0.5)
    assert failure(mailer) == ("smtp_disconnected", False)


def test_a_lost_acknowledgement_is_tried_again_under_the_same_id(
    mailer: SmtpMailer, smtp_sink: SmtpSink
) -> None:
    smtp_sink.drop_after_data()
    assert failure(mailer) == ("smtp_disconnected", False)
    send(mailer)
    first, second = smtp_sink.letters
    assert first.message["Message-ID"] == second.message["Message-ID"]


def test_a_refused_login_is_our_fault_and_tried_again() -> None:
    with SmtpSink(user="agegate", password="right") as sink:
        url = f"smtp://agegate:wrong@127.0.0.1:{sink.port}"
        assert failure(SmtpMailer(url, SENDER, timeout=5)) == ("smtp_login", False)
        bare = SmtpMailer(f"smtp://127.0.0.1:{sink.port}", SENDER, timeout=5)
        assert failure(bare) == ("smtp_530", False)
        assert sink.letters == []


def test_a_password_that_the_protocol_can_not_carry_is_our_fault_too() -> None:
    with SmtpSink(user="agegate", password="contraseña") as sink:
        url = f"smtp://agegate:contrase%C3%B1a@127.0.0.1:{sink.port}"
        assert failure(SmtpMailer(url, SENDER, timeout=5)) == ("smtp_failed", False)


@contextmanager
def answering_server(*answers: bytes, keep_open: bool = False) -> Iterator[int]:
    """Says each answer in turn, whatever it is told; then hangs up, or stays and says nothing."""
    listener = socket.create_server(("127.0.0.1", 0))
    done = threading.Event()

    def serve() -> None:
        line, _ = listener.accept()
        with line:
            for answer in answers:
                line.sendall(answer)
                line.recv(65536)
            if keep_open:
                done.wait(10)

    server = threading.Thread(target=serve)
    server.start()
    try:
        yield listener.getsockname()[1]
    finally:
        done.set()
        server.join()
        listener.close()


def test_a_server_that_greets_nobody_says_nothing_about_the_letter() -> None:
    with answering_server(b"554 5.7.1 no service for you\r\n") as port:
        assert failure(SmtpMailer(f"smtp://127.0.0.1:{port}", SENDER, timeout=5)) == (
            "smtp_554",
            False,
        )


@pytest.mark.parametrize("keep_open", [True, False])
def test_a_letter_that_was_taken_stays_taken_however_the_server_says_goodbye(
    keep_open: bool,
) -> None:
    # Greeting, EHLO, MAIL, RCPT, DATA, and the end of the letter; nothing answers QUIT.
    answers = (
        b"220 x\r\n",
        b"250 x\r\n",
        b"250 ok\r\n",
        b"250 ok\r\n",
        b"354 go\r\n",
        b"250 kept\r\n",
    )
    with answering_server(*answers, keep_open=keep_open) as port:
        mailer = SmtpMailer(f"smtp://127.0.0.1:{port}", SENDER, timeout=5)
        mailer.send(
            replace(LETTER, text="short\n"),
            to=EmailAddress("mum@example.org"),
            kind="receipt",
            message_id="ag-1@age.example",
            language="en",
            now=NOON,
        )


def test_an_encrypted_connection_to_a_plain_server_is_tried_again(smtp_sink: SmtpSink) -> None:
    mailer = SmtpMailer(f"smtps://127.0.0.1:{smtp_sink.port}", SENDER, timeout=1)
    code, permanent = failure(mailer)
    assert code in {"smtp_tls", "smtp_timeout", "smtp_disconnected"}
    assert permanent is False


def test_a_server_without_starttls_gets_no_letter_in_the_clear(smtp_sink: SmtpSink) -> None:
    mailer = SmtpMailer(f"{smtp_sink.url}?starttls=1", SENDER, timeout=5)
    assert failure(mailer) == ("smtp_not_supported", False)
    assert smtp_sink.letters == []


@pytest.mark.parametrize(
    "to", ["", "nobody", "a@", "@b.example", "a@b.example\r\nBcc: c@d.example"]
)
def test_an_address_that_is_none_is_a_permanent_failure(mailer: SmtpMailer, to: str) -> None:
    assert failure(mailer, to=to) == ("address_unusable", True)


def test_a_line_break_can_not_add_a_header(mailer: SmtpMailer, smtp_sink: SmtpSink) -> None:
    hostile = Rendered(subject="x\r\nBcc: other@example.org", text="t", html="<p>t</p>")
    with pytest.raises(MailError) as caught:
        mailer.send(
            hostile,
            to=EmailAddress("mum@example.org"),
            kind="receipt",
            message_id="ag-1@age.example",
            language="en",
            now=NOON,
        )
    assert (caught.value.code, caught.value.permanent) == ("letter_unusable", True)
    assert smtp_sink.letters == []


# --- encryption --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for `localhost` alone, signed by itself, with its key in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    start = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=365 * 50))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    file.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return file


@contextmanager
def encrypted_server(certificate: Path, *, from_the_start: bool) -> Iterator[int]:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)
    port = free_port()
    controller = Controller(
        Sink(),
        hostname="127.0.0.1",
        port=port,
        ssl_context=server if from_the_start else None,
        tls_context=None if from_the_start else server,
        require_starttls=not from_the_start,
    )
    controller.start()
    try:
        yield port
    finally:
        controller.stop()


@pytest.mark.parametrize("from_the_start", [True, False])
def test_an_encrypted_server_is_used_when_its_certificate_is_trusted(
    certificate: Path, from_the_start: bool
) -> None:
    context = ssl.create_default_context(cafile=str(certificate))
    with encrypted_server(certificate, from_the_start=from_the_start) as port:
        url = "smtps://localhost:{}" if from_the_start else "smtp://localhost:{}?starttls=1"
        send(SmtpMailer(url.format(port), SENDER, timeout=5, context=context))


@pytest.mark.parametrize("from_the_start", [True, False])
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_server_that_can_not_prove_its_name_gets_no_letter(
    certificate: Path, from_the_start: bool, host: str
) -> None:
    # Unknown to the system's certificates; or known, but made out to another name.
    context = None
    if host == "127.0.0.1":
        context = ssl.create_default_context(cafile=str(certificate))
    with encrypted_server(certificate, from_the_start=from_the_start) as port:
        url = f"smtps://{host}:{port}" if from_the_start else f"smtp://{host}:{port}?starttls=1"
        mailer = SmtpMailer(url, SENDER, timeout=5, context=context)
        assert failure(mailer) == ("smtp_tls", False)
