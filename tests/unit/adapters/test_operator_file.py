from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from agegate.adapters.operator_file import MAX_FILE, OperatorFileError, parse_operator
from agegate.adapters.operator_models import KNOWN_KEYS
from agegate.domain.operators import AuthMethod, Operator
from agegate.wire.problems import Problem
from tests.factories import an_operator

ROOT = Path(__file__).parents[3]
EXAMPLE = (ROOT / "config" / "example-operator.toml").read_text(encoding="utf-8")
PAGE = (ROOT / "docs" / "reference" / "operator-file.md").read_text(encoding="utf-8")
REDIRECT = '"https://storybuddy.example/callback"'
WEBHOOK = '"https://api.storybuddy.example/agegate-events"'
CLIENT_RESOURCE = 'resource = "https://api.storybuddy.example"\npurposes'


def changed(*pairs: tuple[str, str]) -> str:
    """The example file with some text replaced; each piece must be there."""
    text = EXAMPLE
    for old, new in pairs:
        assert old in text, f"the example has no {old!r}"
        text = text.replace(old, new, 1)
    return text


def problems(text: str, **options: Any) -> list[str]:
    with pytest.raises(OperatorFileError) as caught:
        parse_operator(text, **options)
    assert str(caught.value) == "\n".join(caught.value.problems)
    return caught.value.problems


def problem(text: str, **options: Any) -> str:
    found = problems(text, **options)
    assert len(found) == 1, found
    return found[0]


def with_redirect(uri: str, *more: str) -> str:
    return changed((REDIRECT, json.dumps(uri)), *((m, "") for m in more))


def with_webhook(url: str) -> str:
    return changed((WEBHOOK, json.dumps(url)))


def toml(value: Any) -> str:
    """Inline TOML of plain values."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(k)} = {toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    return json.dumps(value)


def with_keys(*keys: Any, auth_method: str = "private_key_jwt") -> str:
    line = f"jwks = {toml({'keys': list(keys)})}\n"
    head, tail = EXAMPLE.split("[[client]]")
    tail = tail.replace("client_secret_basic", auth_method)
    return f"{head}[[client]]{tail}".replace("branding =", f"{line}branding =")


def a_public_key(**more: Any) -> dict[str, Any]:
    return {**ECKey.generate_key("P-256").as_dict(private=False), **more}


# --- what is read ---------------------------------------------------------------------------------


def test_the_example_file_is_the_operator_everybody_knows() -> None:
    assert parse_operator(EXAMPLE) == an_operator()


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm() -> None:
    assert parse_operator("\ufeff" + EXAMPLE.replace("\n", "\r\n")) == an_operator()


def test_defaults_are_the_careful_ones() -> None:
    text = changed(
        ('aims = ["operation"]\n', ""),
        ("core = true\n", ""),
        ('age_methods = ["age_screen", "facial_estimation"]\n', ""),
        ('branding = { name = "StoryBuddy", colour = "#3b5bdb" }\n', ""),
        (f"webhook_url = {WEBHOOK}\n", ""),
        ('online_notice_url = "https://storybuddy.example/children"\n', ""),
        ('scopes = ["consents:read", "policies:read", "events:write"]\n', ""),
    )
    operator = parse_operator(text)
    client = operator.clients[0]
    assert operator.recipients == an_operator().recipients
    assert operator.purposes[0].core is False
    assert operator.services[0].scopes == ()
    assert operator.online_notice_url is None
    assert client.age_methods == ("age_screen",)
    assert (client.branding, client.webhook_url, client.native) == (None, None, False)
    assert client.display_name == "StoryBuddy"


def test_branding_without_a_name_takes_the_clients() -> None:
    text = changed(('{ name = "StoryBuddy", colour = "#3b5bdb" }', '{ colour = "#3B5BDB" }'))
    branding = parse_operator(text).clients[0].branding
    assert branding is not None
    assert (branding.name, branding.colour) == ("StoryBuddy", "#3b5bdb")


def test_a_client_may_have_several_resources() -> None:
    text = changed(
        (CLIENT_RESOURCE, 'resource = ["https://a.example", "https://b.example/v1"]\npurposes')
    )
    assert parse_operator(text).clients[0].resources == (
        "https://a.example",
        "https://b.example/v1",
    )


def test_an_operator_without_apps_can_be_declared() -> None:
    operator = parse_operator('[operator]\nid = "quiet"\nestablishment = "US"\n')
    assert (operator.clients, operator.purposes) == ((), ())
    # Missing contact details are for the law to refuse, with its source.
    assert (operator.legal_name, operator.email) == ("", "")


def test_a_missing_retention_is_left_for_the_law_to_refuse() -> None:
    assert parse_operator(changed(("retention_days = 30\n", ""))).purposes[0].retention_days == 0


# --- what is refused ------------------------------------------------------------------------------


def test_every_problem_is_told_at_once_with_its_path() -> None:
    text = changed(
        ("phone =", "telephone ="),
        ('role = "third_party"', 'role = "friend"'),
        ("integral = true", "integral = 1"),
        ("retention_days = 30", 'retention_days = "forever"'),
        ('recipients = ["anthropic"]', 'recipients = ["antropic"]'),
        (REDIRECT, '"https://app.example/#a", "http://app.example"'),
        ("regions =", "region ="),
    )
    assert problems(text) == [
        'operator.telephone: is not a known key; did you mean "phone"?',
        "recipient[anthropic].role: must be one of 'service_provider' or 'third_party'",
        "recipient[anthropic].integral: must be true or false",
        (
            "purpose[ai_chat].retention_days: must be a whole number of days; data may not be kept "
            "indefinitely (16 CFR 312.10)"
        ),
        "client[storybuddy-web].redirect_uris[#1]: must not have a fragment (#…)",
        "client[storybuddy-web].redirect_uris[#2]: must begin with https://",
        "client[storybuddy-web].regions: is missing",
        'client[storybuddy-web].region: is not a known key; did you mean "regions"?',
        'purpose[ai_chat].recipients: there is no recipient "antropic"; did you mean "anthropic"?',
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "operator: is missing"),
        ("operator = 3", "operator: must be a table"),
        ("[[operator]]", "operator: must be a table"),
        ('[operator]\nid = "a"', "operator.establishment: is missing"),
        ("[operator", "not valid TOML: "),
        ('a = "\x00"', "not valid TOML: "),
        ("a = 1\na = 2", "not valid TOML: "),
        ("a = 2026-02-30", "not valid TOML: "),
        ("a = " + "9" * 5000, "not valid TOML: "),
        ("a = " + "[" * 100_000, "not valid TOML: nested too deeply"),
        (" " * (MAX_FILE + 1), "the file is longer than 1000000 characters"),
    ],
)
def test_a_file_without_a_meaning_is_refused(text: str, expected: str) -> None:
    assert any(line.startswith(expected) for line in problems(text))


@pytest.mark.parametrize("table", ["recipient", "purpose", "service", "client"])
def test_a_list_of_tables_must_be_one(table: str) -> None:
    minimal = '[operator]\nid = "a"\nestablishment = "US"\n'
    assert problem(f"{table} = 1\n{minimal}") == f"{table}: must be a list: [ … ]"
    assert problem(f"{table} = [1]\n{minimal}") == f"{table}[#1]: must be a table"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("[operator]\n", "[operator]\nfoo = 1\n", "operator.foo: is not a known key"),
        ("[operator]\n", '[operator]\n"\\u001b[31m" = 1\n', 'operator."\\u001b[31m": is not'),
        ("[[client]]\n", "[[clients]]\n", 'clients: is not a known key; did you mean "client"?'),
        ("scope = ", "scopes = ", "recipient[anthropic].written_assurance.scope"),
        ('colour = "', 'color = "', "client[storybuddy-web].branding.color: is not a known key; "),
    ],
)
def test_an_unknown_key_is_refused(old: str, new: str, expected: str) -> None:
    assert any(line.startswith(expected) for line in problems(changed((old, new))))


@pytest.mark.parametrize(
    "id_", ["", "A", "-a", ".a", "a b", "a/b", "ä", "a" * 65, "a\\n", "a\\u0000", "__proto__"]
)
def test_a_bad_id_is_refused(id_: str) -> None:
    text = changed(('id = "storybuddy"', f'id = "{id_}"'))
    assert problem(text).startswith("operator.id: must be an id of at most 64 characters")


@pytest.mark.parametrize("id_", ["a", "0", "a" * 64, "disclose:lab", "a.b_c-d"])
def test_a_good_id_is_accepted(id_: str) -> None:
    assert parse_operator(changed(('id = "storybuddy"', f'id = "{id_}"'))).id == id_


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('id = "researchlab"', 'id = "anthropic"', 'recipient "anthropic": this id is given twice'),
        (
            'id = "disclose:researchlab"',
            'id = "ai_chat"',
            'purpose "ai_chat": this id is given twice',
        ),
        (
            'id = "storybuddy-api"',
            'id = "storybuddy-web"',
            'client or service "storybuddy-web": this id is given twice',
        ),
        (
            '"US", "DE", "GB"',
            '"US", "US"',
            "client[storybuddy-web].regions: names the same thing twice",
        ),
        (
            f"[{REDIRECT}]",
            f"[{REDIRECT}, {REDIRECT}]",
            "client[storybuddy-web].redirect_uris: names the same thing twice",
        ),
    ],
)
def test_nothing_may_be_given_twice(old: str, new: str, expected: str) -> None:
    assert expected in problems(changed((old, new)))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            'recipient = "researchlab"',
            'recipient = "nobody"',
            'purpose[disclose:researchlab].recipient: there is no recipient "nobody"',
        ),
        (
            'purposes = ["ai_chat", "disclose:researchlab"]',
            'purposes = ["ai_caht"]',
            (
                'client[storybuddy-web].purposes: there is no purpose "ai_caht"; did you mean '
                '"ai_chat"?'
            ),
        ),
        (
            'recipient = "researchlab"',
            'recipients = ["researchlab"]',
            (
                'purpose[disclose:researchlab].recipients: belongs to kind "collect_use"; a '
                "disclosure names one `recipient`"
            ),
        ),
        (
            'recipients = ["anthropic"]',
            'recipient = "anthropic"',
            (
                'purpose[ai_chat].recipient: belongs to kind "disclose"; here the key is '
                "`recipients = [ … ]`"
            ),
        ),
    ],
)
def test_references_must_lead_somewhere(old: str, new: str, expected: str) -> None:
    assert problem(changed((old, new))) == expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('legal_name = "StoryBuddy Inc."', "legal_name = 1", "must be a text in quotation marks"),
        ("retention_days = 30", "retention_days = 30.0", "must be a whole number of days"),
        ("retention_days = 30", "retention_days = true", "must be a whole number of days"),
        ("retention_days = 30", 'retention_days = "30"', "must be a whole number of days"),
        ("integral = true", 'integral = "true"', "must be true or false"),
        ("date = 2026-03-01", 'date = "2026-03-01"', "must be a date without quotation marks"),
        ("date = 2026-03-01", "date = 2026-03-01T00:00:00Z", "must be a date without quotation"),
        ('data = ["chat messages", "account identifier"]', 'data = "chat"', "must be a list"),
        ('data = ["chat messages", "account identifier"]', "data = []", "at least 1 entry"),
        ('aims = ["operation"]', "aims = []", "at least 1 entry"),
        ('aims = ["operation"]', 'aims = ["fun"]', "must be one of 'operation', 'analytics'"),
        ('"US", "DE", "GB"', "", "at least 1 entry"),
        (f"[{REDIRECT}]", "[]", "at least 1 entry"),
        ('"events:write"', '"everything"', "must be one of 'consents:read', 'consents:write'"),
        ('"mixed_audience"', '"kids"', "must be one of 'child_directed', 'mixed_audience'"),
        ('"parental_consent"', '"ask"', "must be one of 'block', 'parental_consent'"),
        ('branding = { name = "StoryBuddy", ', "branding = { name = 1, ", "must be a text"),
        ('branding = { name = "StoryBuddy", colour = "#3b5bdb" }', "branding = 1", "a table"),
    ],
)
def test_wrong_types_are_refused(old: str, new: str, expected: str) -> None:
    assert expected in problem(changed((old, new)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a" * 201, "must be at most 200 characters long"),
        ("Story\\u0007Buddy", "must not hold line breaks"),
        ("Story\\nBuddy", "must not hold line breaks"),
        ("Story\\u202eyddu", "must not hold line breaks"),
        ("Story\\u2028Buddy", "must not hold line breaks"),
    ],
)
def test_texts_are_one_readable_line(text: str, expected: str) -> None:
    found = problem(changed(('legal_name = "StoryBuddy Inc."', f'legal_name = "{text}"')))
    assert found.startswith(f"operator.legal_name: {expected}")


@pytest.mark.parametrize(
    "name", ["שירות ילדים", "Ærø & Søn <b>", "قصص", "子ども", 'O\'Brien \\"Kids\\"', "👩‍👧"]
)
def test_names_in_any_script_are_kept_as_they_are(name: str) -> None:
    text = changed(('legal_name = "StoryBuddy Inc."', f'legal_name = "{name}"'))
    assert parse_operator(text).legal_name == name.replace('\\"', '"')


@pytest.mark.parametrize("text", ["", "  "])
def test_an_empty_title_is_refused(text: str) -> None:
    found = problem(changed(('title = "Make stories with an AI"', f'title = "{text}"')))
    assert found == "purpose[ai_chat].title: must not be empty"


def test_an_empty_or_endless_use_is_refused() -> None:
    use = 'use = "To study how children learn to read."'
    where = "purpose[disclose:researchlab].use"
    assert problem(changed((use, 'use = ""'))) == f"{where}: must not be empty"
    endless = changed((use, f'use = "{"a" * 1001}"'))
    assert problem(endless) == f"{where}: must be at most 1000 characters long"


@pytest.mark.parametrize(
    "email", ["a", "a@", "@b.example", "a@b@c.example", "a b@c.example", "x <a@b.example>"]
)
def test_a_bad_email_is_refused_without_repeating_it(email: str) -> None:
    found = problem(changed(("privacy@storybuddy.example", email)))
    assert found == "operator.email: must be one e-mail address, such as privacy@app.example"


def test_empty_contact_details_are_left_for_the_law_to_refuse() -> None:
    text = changed(("privacy@storybuddy.example", " "), ("+1 217 555 0100", ""))
    operator = parse_operator(text)
    assert (operator.email, operator.phone) == ("", "")


def test_lists_have_an_end() -> None:
    data = json.dumps([f"item {n}" for n in range(101)])
    found = problem(changed(('["chat messages", "account identifier"]', data)))
    assert found == "purpose[ai_chat].data: must have at most 100 entries"


@pytest.mark.parametrize("phone", ["call us", "1", "+1 217 555 0100 ext 7", "+" * 10, "1" * 60])
def test_a_bad_telephone_number_is_refused(phone: str) -> None:
    found = problem(changed(("+1 217 555 0100", phone)))
    assert found == "operator.phone: must be a telephone number, such as +1 217 555 0100"


@pytest.mark.parametrize("colour", ["red", "#fff", "#12345g", "#1234567", "url(x)", "#3b5bdb;"])
def test_a_colour_is_six_hex_digits(colour: str) -> None:
    found = problem(changed(("#3b5bdb", colour)))
    assert found == 'client[storybuddy-web].branding.colour: must be written as "#rrggbb"'


# --- addresses ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "uri",
    [
        "http://app.example/cb",
        "http://127.0.0.1:8001/cb",
        "http://localhost/cb",
        "https://app.example/cb#top",
        "https://app.example/cb#",
        "https://user:secret@app.example/cb",
        "https://user@app.example/cb",
        "https://*.app.example/cb",
        "https://app.example/*",
        "https://ünï.example/cb",
        "https://app.example/ü",
        "https://app.example/a b",
        "https://app.example\\@evil.example/",
        "https:///cb",
        "https://",
        "https:app.example",
        "//app.example/cb",
        "/cb",
        "",
        "javascript:alert(1)",
        "data:text/html,x",
        "com.example.app:/cb",
        "https://app.example:0/cb",
        "https://app.example:99999/cb",
        "https://app.example:/cb",
        "https://app.example:8a/cb",
        "https://app..example/cb",
        "https://-app.example/cb",
        "https://2130706433/cb",
        "https://127.1/cb",
        "https://0x7f.0.0.1/cb",
        "https://[::1/cb",
        "https://app.example/" + "a" * 1000,
    ],
)
def test_a_redirect_is_one_exact_https_address(uri: str) -> None:
    found = problem(with_redirect(uri))
    assert found.startswith("client[storybuddy-web].redirect_uris[#1]: must ")
    assert "secret" not in found


@pytest.mark.parametrize(
    "uri",
    [
        "https://app.example",
        "https://app.example/",
        "https://app.example:8443/a/b?x=1&y=%20",
        "https://xn--n-fga.example/cb",
        "https://192.0.2.7/cb",
        "https://[2001:db8::1]/cb",
    ],
)
def test_an_https_redirect_is_kept_byte_for_byte(uri: str) -> None:
    assert parse_operator(with_redirect(uri)).clients[0].redirect_uris == (uri,)


@pytest.mark.parametrize("host", ["127.0.0.1:8001", "localhost:8001", "[::1]:8001", "127.0.0.1"])
def test_http_on_loopback_needs_a_native_client_or_no_production(host: str) -> None:
    uri = f"http://{host}/cb"
    assert problem(with_redirect(uri)).endswith("outside production)")
    assert parse_operator(with_redirect(uri), loopback_ok=True).clients[0].redirect_uris == (uri,)
    native = with_redirect(uri).replace("audience_type", "native = true\naudience_type", 1)
    assert parse_operator(native).clients[0].redirect_uris == (uri,)
    assert parse_operator(native).clients[0].native is True


@pytest.mark.parametrize("host", ["127.0.0.2", "localhost.example", "10.0.0.1"])
def test_only_loopback_itself_is_loopback(host: str) -> None:
    assert problem(with_redirect(f"http://{host}/cb"), loopback_ok=True).endswith(
        "must begin with https://"
    )


def test_a_native_client_gets_no_http_resource() -> None:
    text = changed(
        ("audience_type", "native = true\naudience_type"),
        (CLIENT_RESOURCE, 'resource = "http://127.0.0.1:9"\npurposes'),
    )
    assert problem(text).startswith("client[storybuddy-web].resource[#1]: must begin with https://")


def test_signing_out_follows_the_same_rules() -> None:
    text = changed(
        ("purposes = [", 'post_logout_redirect_uris = ["http://a.example"]\npurposes = [')
    )
    assert problem(text) == (
        "client[storybuddy-web].post_logout_redirect_uris[#1]: must begin with https://"
    )


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example/hook",
        "https://127.0.0.1/hook",
        "https://127.8.8.8/hook",
        "https://localhost/hook",
        "https://10.0.0.8/hook",
        "https://172.16.0.1/hook",
        "https://192.168.1.1/hook",
        "https://169.254.169.254/latest/meta-data",
        "https://100.64.0.1/hook",
        "https://0.0.0.0/hook",
        "https://224.0.0.1/hook",
        "https://[::1]/hook",
        "https://[fe80::1]/hook",
        "https://[fd00::1]/hook",
        "https://[::ffff:10.0.0.1]/hook",
        "https://[2002:a00:1::]/hook",
        "https://[64:ff9b::a00:1]/hook",
        "https://intranet/hook",
        "https://db.internal/hook",
        "https://printer.local/hook",
        "https://user:secret@api.example/hook",
        "https://api.example/hook#x",
        "",
    ],
)
def test_a_webhook_never_points_inside(url: str) -> None:
    found = problem(with_webhook(url), loopback_ok=True)
    assert found.startswith("client[storybuddy-web].webhook_url: must ")
    assert "secret" not in found


def test_a_webhook_target_may_be_exempted_by_host_and_port() -> None:
    url = "http://127.0.0.1:9000/hook"
    allowed = parse_operator(with_webhook(url), webhook_allow=["127.0.0.1:9000"])
    assert allowed.clients[0].webhook_url == url
    assert problem(with_webhook(url), webhook_allow=["127.0.0.1:9001"])
    v6 = parse_operator(with_webhook("https://[::1]/h"), webhook_allow=["[::1]:443"])
    assert v6.clients[0].webhook_url == "https://[::1]/h"
    assert problem(with_webhook("ftp://127.0.0.1:9000/"), webhook_allow=["127.0.0.1:9000"])


@pytest.mark.parametrize("url", ["https://8.8.8.8/hook", "https://[2606:4700::1]/hook"])
def test_a_public_address_may_be_a_webhook(url: str) -> None:
    assert parse_operator(with_webhook(url)).clients[0].webhook_url == url


# --- showing who one is ---------------------------------------------------------------------------


def test_public_keys_are_kept_in_canonical_form() -> None:
    ec = a_public_key(kid="one", alg="ES256", use="sig", x5u="https://elsewhere.example")
    okp = OKPKey.generate_key("Ed25519").as_dict(private=False) | {"kid": "two"}
    client = parse_operator(with_keys(ec, okp)).clients[0]
    assert client.auth_method is AuthMethod.PRIVATE_KEY_JWT
    kept = json.loads(client.jwks or "")
    assert kept["keys"][0] == {k: v for k, v in ec.items() if k != "x5u"}
    assert kept["keys"][1] == okp
    assert client.jwks == json.dumps(kept, sort_keys=True, separators=(",", ":"))


PRIVATE = ECKey.generate_key("P-256").as_dict(private=True)
DAMAGED = a_public_key() | {"x": "AAAA"}


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ([], "must hold 1 to 10 keys"),
        ([PRIVATE], "key 1 is a private or shared key"),
        ([OKPKey.generate_key("Ed25519").as_dict(private=True)], "key 1 is a private or shared"),
        ([OctKey.generate_key(256).as_dict(private=True)], "key 1 is a private or shared key"),
        (
            [RSAKey.generate_key(2048).as_dict(private=False)],
            "key 1 must be EC with P-256 or OKP with Ed25519",
        ),
        ([ECKey.generate_key("P-384").as_dict(private=False)], "key 1 must be EC with P-256 or"),
        ([OKPKey.generate_key("X25519").as_dict(private=False)], "key 1 must be EC with P-256 or"),
        ([DAMAGED], "key 1 is damaged"),
        ([{"kty": "EC", "crv": "P-256"}], "key 1 is damaged"),
        ([a_public_key(alg="none")], 'key 1 must have alg "ES256" or none'),
        ([a_public_key(use="enc")], 'key 1 must have use "sig" or none'),
        ([a_public_key(kid=7)], "key 1 has members that are no short text: kid"),
        ([a_public_key(kid="k" * 201)], "key 1 has members that are no short text: kid"),
        ([a_public_key(kid="a"), a_public_key()], "key 2 needs a kid, since there are several"),
        ([a_public_key(kid="a"), a_public_key(kid="a")], "holds two keys with the same kid"),
        ([a_public_key(kid=str(n)) for n in range(11)], "must hold 1 to 10 keys"),
    ],
)
def test_only_public_keys_of_two_kinds_are_accepted(keys: list[Any], expected: str) -> None:
    found = problem(with_keys(*keys))
    assert found.startswith(f"client[storybuddy-web].jwks: {expected}")
    assert str(PRIVATE["d"]) not in found


def test_a_key_must_be_a_table() -> None:
    text = with_keys(a_public_key()).replace('"keys" = [{', '"keys" = [1, {')
    assert problem(text).startswith("client[storybuddy-web].jwks: key 1 is not a table")


def test_a_key_set_has_keys_and_nothing_else() -> None:
    text = with_keys(a_public_key()).replace('"keys" =', '"key" =')
    expected = "client[storybuddy-web].jwks: must be written as { keys = [ … ] }"
    assert problem(text) == expected


def test_private_key_jwt_needs_its_keys() -> None:
    found = problem(changed(('"client_secret_basic"\nresource', '"private_key_jwt"\nresource')))
    assert found.startswith('service[storybuddy-api].auth_method: "private_key_jwt" needs')


def test_keys_are_for_private_key_jwt_only() -> None:
    found = problem(with_keys(a_public_key(), auth_method="client_secret_post"))
    assert found.startswith("client[storybuddy-web].auth_method: jwks is used by")


def test_jwks_uri_is_refused_with_its_reason() -> None:
    text = changed(("branding =", 'jwks_uri = "https://app.example/keys"\nbranding ='))
    found = problem(text)
    assert found.startswith("client[storybuddy-web].jwks_uri: is refused: whoever controls")


def test_a_service_must_show_who_it_is() -> None:
    found = problem(changed(('"client_secret_basic"\nresource', '"none"\nresource')))
    assert found.startswith("service[storybuddy-api].auth_method: a service must show who it is")


def test_a_public_client_is_possible() -> None:
    head, tail = EXAMPLE.split("[[client]]")
    operator = parse_operator(f"{head}[[client]]{tail.replace('client_secret_basic', 'none')}")
    assert operator.clients[0].auth_method is AuthMethod.NONE


# --- properties -----------------------------------------------------------------------------------


def outcome(text: str) -> Operator | list[str]:
    try:
        return parse_operator(text)
    except OperatorFileError as error:
        return error.problems


@given(st.text(max_size=200))
def test_any_text_is_either_an_operator_or_a_list_of_problems(text: str) -> None:
    assert outcome(text)


VALUES = st.sampled_from(
    ["0", "-1", "1.5", "true", '""', '"x"', "[]", '["x"]', "[1]", "[[]]", "{}", "2026-01-01", "inf"]
)
LINES = [
    n
    for n, line in enumerate(EXAMPLE.splitlines())
    if re.match(r"[a-z_]+ = ", line) and not line.startswith("id")
]
PATH_AND_SENTENCE = re.compile(r"[a-z]+(\[[^\]]+\])?(\.[a-z_]+)*(\[#[0-9]+\])?(\.[a-z_]+)?: .+")


@given(st.sampled_from(LINES), VALUES)
def test_any_value_in_any_place_is_read_or_refused_in_words(line: int, value: str) -> None:
    lines = EXAMPLE.splitlines()
    key = lines[line].partition(" = ")[0]
    lines[line] = f"{key} = {value}"
    found = outcome("\n".join(lines))
    if isinstance(found, Operator):
        assert found.id == "storybuddy"
    else:
        assert [p for p in found if not PATH_AND_SENTENCE.fullmatch(p)] == []


def test_the_error_is_a_configuration_problem() -> None:
    assert OperatorFileError.problem is Problem.INVALID_CONFIGURATION


# --- the page -------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", ["operator", "recipient", "purpose", "service", "client"])
def test_every_key_is_on_the_reference_page(table: str) -> None:
    heading = "## `[operator]`" if table == "operator" else f"## `[[{table}]]`"
    section = PAGE.partition(heading)[2].partition("\n## ")[0]
    listed = set(re.findall(r"^\| `([a-z_]+)` \|", section, re.MULTILINE))
    assert listed - {"jwks_uri"} == set(KNOWN_KEYS[(table,)])


def test_the_example_is_valid_toml_of_the_tables_on_the_page() -> None:
    assert set(tomllib.loads(EXAMPLE)) == set(KNOWN_KEYS[()])
