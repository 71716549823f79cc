"""The stand-in for Claude says what the real one would, as Anthropic's own types read it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agegate.guard.testing import FakeClaude, Reply
from agegate.guard.testing.__main__ import main
from agegate.guard.testing.story import next_part, split_into_deltas

HELLO: Any = [{"role": "user", "content": "Tell me about a lighthouse."}]
ASK: dict[str, Any] = {"model": "claude-haiku-5-5", "max_tokens": 64, "messages": HELLO}
HEADERS = {"x-api-key": "k", "anthropic-version": "2026-10-21", "content-type": "application/json"}


@pytest.fixture
def client(claude: FakeClaude) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(
        base_url=claude.url, api_key="k", max_retries=0, _strict_response_validation=True
    ) as made:
        yield made


def post(
    claude: FakeClaude, body: Any, *, path: str = "/v1/messages", **headers: str | None
) -> tuple[int, Any]:
    sent = {
        k: v
        for k, v in (HEADERS | {n.replace("_", "-"): h for n, h in headers.items()}).items()
        if v
    }
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(claude.url + path, data=data, headers=sent)  # noqa: S310 - loopback
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310 - loopback
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def test_the_default_reply_is_a_story_that_holds_still(
    claude: FakeClaude, client: anthropic.Anthropic
) -> None:
    first, second = (client.messages.create(**ASK) for _ in range(2))
    assert first.content == second.content
    assert first.content[0].type == "text"
    assert "lighthouse" in first.content[0].text
    assert first.stop_reason == "end_turn"
    assert first.usage.output_tokens > 1
    assert first.id != second.id


def test_streams_bring_the_same_words(claude: FakeClaude, client: anthropic.Anthropic) -> None:
    whole = client.messages.create(**ASK)
    with client.messages.stream(**ASK) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert whole.content[0].type == "text"
    assert text == whole.content[0].text
    assert final.content[0].type == "text"
    assert (final.content[0].text, final.stop_reason) == (text, "end_turn")
    assert final.usage.output_tokens == whole.usage.output_tokens


def test_the_raw_stream_names_every_event_and_pings(claude: FakeClaude) -> None:
    data = json.dumps(ASK | {"stream": True}).encode()
    request = urllib.request.Request(claude.url + "/v1/messages", data=data, headers=HEADERS)  # noqa: S310 - loopback
    with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310 - loopback
        frames = answer.read().decode().strip().split("\n\n")
    names = []
    for frame in frames:
        event, _, payload = frame.partition("\n")
        names.append(event.removeprefix("event: "))
        assert json.loads(payload.removeprefix("data: "))["type"] == names[-1]
    assert names[:3] == ["message_start", "ping", "content_block_start"]
    assert names[-3:] == ["content_block_stop", "message_delta", "message_stop"]


def test_a_script_decides_words_deltas_tools_and_refusals(
    claude: FakeClaude, client: anthropic.Anthropic
) -> None:
    call = {"type": "tool_use", "id": "toolu_1", "name": "dice", "input": {"sides": 6}}
    claude.script(
        Reply(text="One."),
        Reply(deltas=["Ti", "ger ", "🐯"]),
        Reply(blocks=[call], stop_reason="tool_use"),
        Reply(
            text="",
            stop_reason="refusal",
            stop_details={"type": "refusal", "category": None, "explanation": None},
        ),
    )
    first = client.messages.create(**ASK).content[0]
    assert first.type == "text"
    assert first.text == "One."
    with client.messages.stream(**ASK) as stream:
        assert list(stream.text_stream) == ["Ti", "ger ", "🐯"]
    with client.messages.stream(**ASK) as stream:
        block = stream.get_final_message().content[0]
    assert block.type == "tool_use"
    assert block.input == {"sides": 6}
    refusal = client.messages.create(**ASK)
    assert (refusal.stop_reason, refusal.content) == ("refusal", [])
    assert refusal.stop_details is not None


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, anthropic.AuthenticationError),
        (429, anthropic.RateLimitError),
        (500, anthropic.InternalServerError),
        (529, anthropic.APIStatusError),
    ],
)
def test_scripted_faults_arrive_as_the_sdks_own_errors(
    claude: FakeClaude, client: anthropic.Anthropic, status: int, kind: type[Exception]
) -> None:
    claude.script(Reply(status=status, headers={"retry-after": "7"}))
    with pytest.raises(kind) as told:
        client.messages.create(**ASK)
    assert isinstance(told.value, anthropic.APIStatusError)
    assert told.value.status_code == status
    assert told.value.response.headers["retry-after"] == "7"
    assert told.value.request_id == "req_fake_000001"


def test_a_stream_can_break_in_the_middle(claude: FakeClaude, client: anthropic.Anthropic) -> None:
    claude.script(Reply(error_after=2), Reply(cut_after=2))
    heard: list[str] = []
    with pytest.raises(anthropic.APIStatusError, match="Overloaded"):
        heard += [e.type for e in client.messages.create(**ASK, stream=True)]
    with pytest.raises(Exception, match=r"peer closed|incomplete|disconnected"):  # noqa: SIM117 - two subjects
        with client.messages.stream(**ASK) as stream:
            heard += list(stream.text_stream)
    assert len(claude.requests) == 2


def test_a_stream_can_stall_until_the_caller_gives_up(claude: FakeClaude) -> None:
    claude.script(Reply(stall_after=1))
    with anthropic.Anthropic(
        base_url=claude.url, api_key="k", timeout=0.3, max_retries=0
    ) as client:
        began = time.monotonic()
        with pytest.raises(Exception, match=r"timed out|timeout"):
            list(client.messages.create(**ASK, stream=True))
        assert time.monotonic() - began < 3


BAD_BODIES: dict[str, Any] = {
    "not JSON": b"{",
    "a list": [],
    "unknown key": ASK | {"unheard_of": 1},
    "temperature": ASK | {"temperature": 0},
    "top_p": ASK | {"top_p": 1},
    "beta key": ASK | {"mcp_servers": []},
    "no model": ASK | {"model": None},
    "no max_tokens": ASK | {"max_tokens": None},
    "max_tokens is true": ASK | {"max_tokens": True},
    "stream is text": ASK | {"stream": "yes"},
    "no messages": ASK | {"messages": []},
    "empty content": ASK | {"messages": [{"role": "user", "content": ""}]},
    "strange role": ASK | {"messages": [{"role": "tool", "content": "x"}]},
    "strange block": ASK | {"messages": [{"role": "user", "content": [{"type": "x"}]}]},
    "message with a name": ASK | {"messages": [{"role": "user", "content": "x", "name": "ben"}]},
    "assistant first": ASK | {"messages": [{"role": "assistant", "content": "x"}]},
    "message is text": ASK | {"messages": ["x"]},
    "system is a number": ASK | {"system": 1},
    "empty system block": ASK | {"system": [{"type": "text", "text": ""}]},
    "metadata with a name": ASK | {"metadata": {"name": "ben"}},
    "user_id too long": ASK | {"metadata": {"user_id": "x" * 257}},
    "tools is text": ASK | {"tools": "dice"},
}


@pytest.mark.parametrize("name", BAD_BODIES)
def test_a_body_that_the_api_would_not_take_is_refused(claude: FakeClaude, name: str) -> None:
    status, answer = post(claude, BAD_BODIES[name])
    assert status == 400
    assert answer["error"]["type"] == "invalid_request_error"


def test_the_older_version_takes_sampling_parameters(claude: FakeClaude) -> None:
    assert post(claude, ASK | {"temperature": 0}, anthropic_version="2023-06-01")[0] == 200


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/v1/messages", {"x_api_key": None}, 401),
        ("/v1/messages", {"x_api_key": None, "authorization": "Bearer k"}, 200),
        ("/v1/messages", {"anthropic_version": None}, 400),
        ("/v1/messages", {"anthropic_version": "2020-01-01"}, 400),
        ("/v1/messages?beta=true", {}, 200),
        ("/v1/messages?x=1", {}, 400),
        ("/v1/complete", {}, 404),
    ],
)
def test_doors_open_and_close_as_at_the_real_api(
    claude: FakeClaude, path: str, headers: dict[str, str | None], status: int
) -> None:
    told, answer = post(claude, ASK, path=path, **headers)
    assert told == status
    assert answer["type"] == ("message" if status == 200 else "error")


def test_a_huge_body_is_refused_unread(claude: FakeClaude) -> None:
    request = urllib.request.Request(  # noqa: S310 - loopback
        claude.url + "/v1/messages", data=b"{}", headers=HEADERS | {"Content-Length": "99999999"}
    )
    with pytest.raises(urllib.error.HTTPError) as told:
        urllib.request.urlopen(request, timeout=5)  # noqa: S310 - loopback
    with told.value:
        assert told.value.code == 413


def test_the_recorder_keeps_what_arrived(claude: FakeClaude, client: anthropic.Anthropic) -> None:
    client.messages.count_tokens(model="m", messages=HELLO)
    (seen,) = claude.requests
    assert (seen.method, seen.path) == ("POST", "/v1/messages/count_tokens")
    assert seen.headers["authorization"] == "Bearer k"
    assert seen.body == {"model": "m", "messages": HELLO}


def test_the_async_client_reads_it_alike(claude: FakeClaude) -> None:
    async def both() -> tuple[str, str]:
        async with anthropic.AsyncAnthropic(base_url=claude.url, api_key="k") as client:
            whole = await client.messages.create(**ASK)
            async with client.messages.stream(**ASK) as stream:
                text = "".join([part async for part in stream.text_stream])
            assert whole.content[0].type == "text"
            return whole.content[0].text, text

    whole, streamed = asyncio.run(both())
    assert whole == streamed


@given(st.text())
def test_deltas_joined_again_are_the_text(text: str) -> None:
    assert "".join(split_into_deltas(text)) == text


@given(st.text() | st.none() | st.lists(st.dictionaries(st.text(), st.text())))
def test_there_is_always_a_next_part(said: Any) -> None:
    messages = [{"role": "user", "content": said}]
    assert "{" not in next_part(messages)
    assert next_part(messages) == next_part(messages)


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_the_command_serves_until_a_signal_ends_it(stop: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "agegate.guard.testing", "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        env={"PATH": os.defpath},
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        url = line.split()[-1]
        request = urllib.request.Request(  # noqa: S310 - loopback
            url + "/v1/messages", data=json.dumps(ASK).encode(), headers=HEADERS
        )
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310 - loopback
            assert json.loads(answer.read())["type"] == "message"
        process.send_signal(stop)
        assert process.wait(10) == 0


def test_a_port_that_is_taken_is_said_plainly(
    claude: FakeClaude, capsys: pytest.CaptureFixture[str]
) -> None:
    handlers = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
    try:
        assert main(["--port", claude.url.rpartition(":")[2]]) == 1
    finally:
        signal.signal(signal.SIGINT, handlers[0])
        signal.signal(signal.SIGTERM, handlers[1])
    assert "cannot listen" in capsys.readouterr().err
