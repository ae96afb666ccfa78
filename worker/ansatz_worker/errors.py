"""Errors that are answered rather than raised to the top: what the user can mend, and what an order got
wrong.

Each says where and what; a `Refused` also says what to do.
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from typing import Any

TRACEBACK_BYTES_MAX = 4096
MESSAGE_CHARACTERS_MAX = 500


@dataclass
class Refused(Exception):  # noqa: N818 - an answer to the user rather than a fault
    """The user's files or wishes cannot be used; the user can mend it."""

    code: str
    message: str
    hint: str
    file: str | None = None
    row: int | None = None
    column: str | None = None

    def __str__(self) -> str:
        return self.message

    def event(self) -> dict[str, Any]:
        """The answer to the host."""
        return {
            "event": "refused",
            "code": self.code,
            "message": one_line(self.message),
            "hint": one_line(self.hint),
            "file": self.file,
            "row": self.row,
            "column": None if self.column is None else self.column[:200],
        }


class OrderError(Exception):
    """An order that breaks the protocol: an unknown name, a missing field, a wrong type."""


class ContractError(Exception):
    """A solution that breaks its contract: a missing function, a wrong shape, a value that is not finite."""


def one_line(text: str) -> str:
    """`text` without line breaks and other control characters, cut to a length that fits a message."""
    flat = "".join(c if c.isprintable() else " " for c in text)
    return flat if len(flat) <= MESSAGE_CHARACTERS_MAX else flat[: MESSAGE_CHARACTERS_MAX - 1] + "…"


def failed(error: BaseException) -> dict[str, Any]:
    """The `failed` event for an exception: its kind, one line, and the end of the traceback."""
    kinds: list[tuple[type[BaseException], str]] = [
        (MemoryError, "memory"),
        (ContractError, "contract"),
        (OrderError, "order"),
    ]
    kind = next((name for kind, name in kinds if isinstance(error, kind)), "error")
    text = "".join(traceback.format_exception(error)).encode("utf-8", "replace")[-TRACEBACK_BYTES_MAX:]
    message = str(error) if kind in ("contract", "order") else f"{type(error).__name__}: {error}"
    return {
        "event": "failed",
        "kind": kind,
        "message": one_line(message),
        "traceback": text.decode("utf-8", "ignore"),
    }
