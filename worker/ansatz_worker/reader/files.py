"""Bytes of a user's file to text: existence, compression, kind of file, encoding.

Refuses what is not a table; never guesses at binary data.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from dataclasses import dataclass
from pathlib import Path

from ansatz_worker.errors import Refused
from ansatz_worker.reader.table import Notice

UNPACKED_BYTES_MAX = 8 * 1024**3
UNPACKED_RATIO_MAX = 1000
"""A gzip file that grows more than this is an attack, not a table."""

PROBE_BYTES = 64 * 1024
CONTROL_SHARE_MAX = 0.01
"""Control characters in text, tabs and line breaks apart; more is binary data."""

TABLE_HINT = "give a CSV, TSV or Parquet file"

SIGNATURES: tuple[tuple[bytes, str, str, str], ...] = (
    (b"PK\x03\x04", "zip", "a zip archive or a spreadsheet", "unpack it, or save the sheet as CSV"),
    (b"PK\x05\x06", "zip", "an empty zip archive", "unpack it, or save the sheet as CSV"),
    (b"\xd0\xcf\x11\xe0", "binary", "an old spreadsheet or document", "save the sheet as CSV"),
    (b"7z\xbc\xaf", "zip", "a 7z archive", "unpack it first"),
    (b"Rar!", "zip", "a RAR archive", "unpack it first"),
    (b"BZh", "zip", "bzip2 data", "unpack it first"),
    (b"\xfd7zXZ", "zip", "xz data", "unpack it first"),
    (b"\x28\xb5\x2f\xfd", "zip", "zstd data", "unpack it first"),
    (b"ARROW1", "binary", "an Arrow or Feather file", "save it as Parquet or CSV"),
    (b"SQLite format 3", "binary", "an SQLite database", "export the table as CSV"),
    (b"\x89HDF", "binary", "an HDF5 file", "save the table as CSV or Parquet"),
    (b"%PDF", "binary", "a PDF document", TABLE_HINT),
    (b"\x89PNG", "binary", "an image", TABLE_HINT),
    (b"\xff\xd8\xff", "binary", "an image", TABLE_HINT),
    (b"GIF8", "binary", "an image", TABLE_HINT),
    (b"\x7fELF", "binary", "a program", TABLE_HINT),
    (b"\x80\x04\x95", "binary", "a Python pickle", "save the table as CSV or Parquet"),
    (b"\x80\x05\x95", "binary", "a Python pickle", "save the table as CSV or Parquet"),
)

GZIP = b"\x1f\x8b"
PARQUET = b"PAR1"


@dataclass
class Source:
    """The bytes of a file, unpacked when they were gzipped, and the hash of what lay on disk."""

    name: str
    data: bytes
    sha256: str

    @property
    def parquet(self) -> bool:
        """Whether it is a Parquet file."""
        return self.data[:4] == PARQUET


def fetch(path: Path) -> Source:
    """The content of a file; raises `Refused` for what cannot be a table."""
    name = path.name
    if not path.exists():
        raise Refused("missing", f"{name} does not exist", "check the path", name)
    if not path.is_file():
        raise Refused("unreadable", f"{name} is not a file", TABLE_HINT, name)
    try:
        data = path.read_bytes()
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise Refused(
            "unreadable", f"{name} cannot be read: {reason}", "check its permissions", name
        ) from error
    digest = hashlib.sha256(data).hexdigest()
    if data[:2] == GZIP:
        data = unpack(data, name)
    for signature, code, what, hint in SIGNATURES:
        if data.startswith(signature):
            raise Refused(code, f"{name} is {what}, not a table", hint, name)
    return Source(name, data, digest)


def unpack(data: bytes, name: str) -> bytes:
    """Gzip members one after another, with a limit on what they grow to."""
    most = min(UNPACKED_BYTES_MAX, max(len(data) * UNPACKED_RATIO_MAX, 1 << 20))
    parts: list[bytes] = []
    total = 0
    try:
        while data[:2] == GZIP:
            member = zlib.decompressobj(wbits=31)
            parts.append(member.decompress(data, most - total + 1))
            total += len(parts[-1])
            if total > most:
                raise Refused(
                    "binary", f"{name} unpacks to more than {most:,} bytes", "unpack it yourself", name
                )
            if not member.eof:
                raise Refused("binary", f"{name} is a damaged gzip file", "unpack it yourself", name)
            data = member.unused_data
    except zlib.error as error:
        raise Refused(
            "binary", f"{name} is a damaged gzip file: {error}", "unpack it yourself", name
        ) from error
    return b"".join(parts)


def decode(source: Source) -> tuple[bytes, list[Notice]]:
    """The content as UTF-8 with plain line ends; raises `Refused` when it is not text or holds nothing."""
    name, data = source.name, source.data
    encoding, skip = encoding_of(data)
    body = data[skip:]
    notices = []
    if encoding != "utf-8":
        body = body.decode(encoding, "replace").encode("utf-8")
        notices.append(Notice("encoding", f"{name}: read as {encoding} and turned into UTF-8"))
    if not body.strip():
        raise Refused("empty", f"{name} is empty", "give a file with a header and rows", name)
    if binary(body):
        raise Refused("binary", f"{name} is binary data, not a table", TABLE_HINT, name)
    start = body[:512].lstrip().lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise Refused(
            "not_a_table", f"{name} is a web page or XML, not a table", "download the file itself", name
        )
    if start.startswith((b"{", b"[{", b"[[")):
        raise Refused("not_a_table", f"{name} looks like JSON, not a table", "save the table as CSV", name)
    if b"\r" in body and b"\n" not in body:
        body = body.replace(b"\r", b"\n")
    return body, notices


def encoding_of(data: bytes) -> tuple[str, int]:
    """The encoding of text and the length of its byte order mark."""
    for mark, encoding in (
        (b"\xef\xbb\xbf", "utf-8"),
        (b"\xff\xfe", "utf-16-le"),
        (b"\xfe\xff", "utf-16-be"),
    ):
        if data.startswith(mark):
            return encoding, len(mark)
    probe = data[:PROBE_BYTES]
    if len(probe) >= 4:
        for first, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
            half, other = probe[first::2], probe[1 - first :: 2]
            if half.count(0) > 0.7 * len(half) and other.count(0) == 0:
                return encoding, 0
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        undefined = b"\x81\x8d\x8f\x90\x9d"
        return ("latin-1" if any(byte in data for byte in undefined) else "cp1252"), 0
    return "utf-8", 0


def binary(body: bytes) -> bool:
    """Whether bytes hold NULs or too many control characters to be a table."""
    if b"\0" in body:
        return True
    probe = body[:PROBE_BYTES]
    control = len(probe) - len(probe.translate(None, bytes(c for c in range(32) if c not in b"\t\n\r\f")))
    return control > CONTROL_SHARE_MAX * len(probe)
