"""StoryBuddy, a made-up app: what a client of agegate looks like from the outside."""

from __future__ import annotations
