"""One control channel: JSON objects over a SOCK_SEQPACKET Unix socket, descriptors beside them.

It frames and checks messages; it knows nothing about what they mean.
"""

from __future__ import annotations

import json
import os
import socket
from types import TracebackType
from typing import Any

MESSAGE_BYTES_MAX = 128 * 1024
"""Longest message of either side; longer things are files."""

DESCRIPTORS_MAX = 8
"""Descriptors beside one message; an order seals at most four arrays."""

Message = dict[str, Any]


class ChannelError(Exception):
    """A message that breaks the protocol: not JSON, not an object, or too long."""


class Channel:
    """A connected socket that carries one JSON object per packet."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection

    @classmethod
    def from_descriptor(cls, descriptor: int) -> Channel:
        """The channel on an inherited descriptor, which it owns from now on."""
        return cls(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, fileno=descriptor))

    def fileno(self) -> int:
        """The descriptor, for polling."""
        return self._socket.fileno()

    def send(self, message: Message) -> None:
        """Sends one message; raises `ChannelError` when it is too long."""
        self._socket.sendall(encode(message))

    def offer(self, message: Message) -> bool:
        """Sends one message unless the other side is behind; whether it went out."""
        try:
            self._socket.send(encode(message), socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        return True

    def receive(self) -> tuple[Message, list[int]] | None:
        """The next message with the descriptors beside it (the caller closes them); `None` when the other
        side left.
        """
        data, descriptors, flags, _ = socket.recv_fds(self._socket, MESSAGE_BYTES_MAX, DESCRIPTORS_MAX)
        if not data:
            close_all(descriptors)
            return None
        try:
            if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
                raise ChannelError("a message is longer than the protocol allows")
            return decode(data), descriptors
        except ChannelError:
            close_all(descriptors)
            raise

    def close(self) -> None:
        """Closes the socket."""
        self._socket.close()

    def __enter__(self) -> Channel:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def encode(message: Message) -> bytes:
    """One message as bytes; raises `ChannelError` for NaN, infinity, or more than `MESSAGE_BYTES_MAX`."""
    try:
        data = json.dumps(message, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except ValueError as error:
        raise ChannelError(f"a message cannot be written as JSON: {error}") from error
    if len(data) > MESSAGE_BYTES_MAX:
        raise ChannelError(f"a message of {len(data)} bytes is over the limit of {MESSAGE_BYTES_MAX}")
    return data


def decode(data: bytes) -> Message:
    """The message in `data`; raises `ChannelError` for anything but one JSON object."""
    try:
        message = json.loads(data)
    except ValueError as error:
        raise ChannelError(f"not JSON: {error}") from error
    if not isinstance(message, dict):
        raise ChannelError("not a JSON object")
    return message


def close_all(descriptors: list[int]) -> None:
    """Closes all descriptors of a list."""
    for descriptor in descriptors:
        os.close(descriptor)
