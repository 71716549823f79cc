"""A listener that hopes for visitors: what the service fetches on a stranger's word is seen."""

from __future__ import annotations

import contextlib
import select
import socket
from types import TracebackType
from typing import Self


class Listener:
    def __enter__(self) -> Self:
        self._socket = socket.create_server(("127.0.0.1", 0))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.closing(self._socket):
            pass

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}/request.jwt"

    def nobody_came(self) -> bool:
        return not select.select([self._socket], [], [], 0.3)[0]
