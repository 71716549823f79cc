"""What the fake says when nobody told it what to say: the next part of a gentle story.

The same words in give the same words out, so tests and screenshots hold still.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

_SMALL_WORDS: Final = (
    "about after again also always and are because been before but can could did does for "
    "from gets had has have her here him his into its just like little make makes many more "
    "next not once one only our out please she some story tell than that the their them then "
    "there they this until upon very want wants was were what when where which who why will "
    "with would write you your"
)
_SMALL: Final = frozenset(_SMALL_WORDS.split())
_ARTICLES: Final = frozenset({"a", "an", "the"})
_STORIES: Final = (
    (
        "Nobody had looked for the {thing} on a rainy Tuesday, so that was when it turned up."
        " It sat on the library steps, quite dry, humming to itself. “You took your time,” it"
        " said kindly. Inside, a lamp went on, and then another, all the way up to the roof. "
        "Which of the two doors should we try first: the green one, or the one that is a bit "
        "too small?"
    ),
    (
        "The morning after, the {thing} had left a note on the kitchen table, folded into a "
        "boat. It said: follow the smell of warm bread. So they did, past the baker and over "
        "the wooden bridge, where the ducks were holding a meeting. The oldest duck cleared "
        "her throat and looked at everyone in turn. What do you think she asked?"
    ),
    (
        "It began to snow, softly, the way it snows in a story. The {thing} had never seen "
        "snow and tried to give every flake a name. By the time they reached the mill, the "
        "path home had gone quiet and white. Then, far away, somebody rang a bell three "
        "times. Shall we go and see who it is?"
    ),
    (
        "At the top of the hill the {thing} stopped to share its last plum with a snail. "
        "“Slow is fine,” said the snail, “I notice more that way.” And it showed them a gate "
        "that the hurried people always miss. Behind it lay a garden where each flower opened"
        " with a small, polite cough. What would you plant there?"
    ),
)


def next_part(messages: object) -> str:
    """The next part of a story about whatever the last user message was about."""
    said = _last_user_text(messages)
    thing = _thing(said)
    pick = hashlib.sha256(said.encode("utf-8", "replace")).digest()[0] % len(_STORIES)
    return _STORIES[pick].format(thing=thing)


def split_into_deltas(text: str) -> list[str]:
    """Word by word, as a stream would bring it; joined again it is the same text."""
    return re.findall(r"\s*\S+\s*$|\s*\S+", text) or ([text] if text else [])


def _thing(said: str) -> str:
    """What it is about: what follows an article (“a small robot who…”), else the longest word."""
    words = [w.lower() for w in re.findall(r"[^\W\d_]{1,20}", said)]
    for place, word in enumerate(words):
        after = list(itertools.takewhile(lambda w: w not in _SMALL, words[place + 1 : place + 4]))
        if word in _ARTICLES and after:
            return " ".join(after) if len(after) == 2 else after[0]  # noqa: PLR2004 - “small robot”
    return max((w for w in words if len(w) > 2 and w not in _SMALL), key=len, default="visitor")  # noqa: PLR2004 - “ox”


def _last_user_text(messages: object) -> str:
    if not isinstance(messages, Sequence) or isinstance(messages, str):
        return ""
    for message in reversed(messages):
        if isinstance(message, Mapping) and message.get("role") == "user":
            return _text(message.get("content"))
    return ""


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    blocks = content if isinstance(content, Sequence) else ()
    return " ".join(str(b["text"]) for b in blocks if isinstance(b, Mapping) and "text" in b)
