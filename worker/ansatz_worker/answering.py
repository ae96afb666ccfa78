"""A bundle that answers one row at a time, so that the host can measure how long a prediction takes.

The host holds the watch: it asks for a row when it pleases and knows what the answer must be, so no code of a
model can make itself look faster than it is.
"""

from __future__ import annotations

from pathlib import Path

from ansatz_worker.bundle_predict import Bundle, Members
from ansatz_worker.channel import Channel, ChannelError, Message, close_all
from ansatz_worker.errors import ContractError, OrderError, Refused, failed


def main(descriptor: int, folder: Path, source: Path) -> int:
    """Loads the bundle and the file, says so, and answers rows until the host leaves; the exit status."""
    with Channel.from_descriptor(descriptor) as channel:
        try:
            members = load(folder, source)
        except (Refused, ContractError, OSError, MemoryError) as error:
            channel.send(failed(error))
            return 1
        channel.send({"event": "loaded", "rows": len(members.features.numeric)})
        while True:
            try:
                received = channel.receive()
            except ChannelError as error:
                channel.send(failed(error))
                return 1
            if received is None:
                return 0
            message, descriptors = received
            close_all(descriptors)
            if message.get("op") == "stop":
                return 0
            try:
                channel.send(answer(members, message))
            except (OrderError, ContractError) as error:
                channel.send(failed(error))


def load(folder: Path, source: Path) -> Members:
    """The bundle's models with the rows of the file; raises `Refused` or `ContractError`."""
    bundle = Bundle.open(folder)
    # The reader needs pyarrow; frames must be made without it, as they were in training.
    from ansatz_worker.reader import serve

    _, features, _ = serve.apply_schema(source, bundle.schema, folder)
    return Members.load(bundle, features)


def answer(members: Members, message: Message) -> Message:
    """The answer to `{"op":"answer","row":3}`, or for one member `{"op":"answer","row":3,"member":0}`."""
    match message:
        case {"op": "answer", "row": int(row)} if 0 <= row < len(members.features.numeric):
            member = message.get("member")
            if member is not None and not (isinstance(member, int) and 0 <= member < len(members.members)):
                raise OrderError(f"no such member: {member!r}")
            values = members.predict(slice(row, row + 1), member)
            return {"event": "answered", "values": [float(value) for value in values[0]]}
        case _:
            raise OrderError(f"no such request: {message!r}")
