"""What every command starts from: the environment, and the parts that it describes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from agegate.settings import Settings

if TYPE_CHECKING:
    from agegate.bootstrap import Services

Work = Callable[[Mapping[str, str], bool], int]
"""Run the worker in an environment; with True only until nothing is due."""
Demo = Callable[[Mapping[str, str]], int]


class Surroundings:
    """The environment of one command, looked into when it is first needed.

    So `agegate --help` and `agegate rules` work whatever the settings are.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        self.env = env

    @cached_property
    def settings(self) -> Settings:
        """Raises `SettingsError`."""
        return Settings.from_env(self.env)

    @cached_property
    def services(self) -> Services:
        """Raises `SettingsError`, `AgegateError`."""
        from agegate.bootstrap import open_services

        return open_services(self.settings)
