"""The inside of the Python component: runs metric and check files, one call per fresh instance.

There is no file system, clock, network or environment here, and only what is imported below can be imported:
the interpreter is frozen right after this module was loaded. Nothing in here decides anything about a run.
"""

import __future__

import array
import bisect
import builtins
import calendar
import cmath
import collections
import collections.abc
import copy
import csv
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import heapq
import io
import itertools
import json
import math
import numbers
import operator
import random
import re
import statistics
import string
import sys
import textwrap
import types
import typing
import unicodedata

import componentize_py_types
import wit_world

# The names that were imported for others to find.
AVAILABLE = (
    __future__,
    array,
    bisect,
    calendar,
    cmath,
    collections.abc,
    copy,
    dataclasses,
    datetime,
    decimal,
    enum,
    fractions,
    functools,
    heapq,
    itertools,
    numbers,
    operator,
    random,
    re,
    statistics,
    string,
    textwrap,
    types,
    typing,
    unicodedata,
)

PRINTED_MAX = 4096
MESSAGE_MAX = 500
COMPLAINTS_MAX = 1000
NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?\Z")


class Answer(Exception):
    """What a function returned is not what it should return."""


class Printed(io.TextIOBase):
    """Takes what is printed and keeps the beginning."""

    def __init__(self):
        self.text = ""

    def writable(self):
        return True

    def write(self, text):
        if len(self.text) < PRINTED_MAX:
            self.text += text[: PRINTED_MAX - len(self.text)]
        return len(text)


printed = Printed()


def refuse(*_arguments, **_options):
    """Stands in for what is not here; without it the call would end the instance without a word."""
    raise PermissionError("there are no files, no input and no network here")


def fault(error, file):
    """An exception as a record: its class, its words, the last line of the user's file that led to it."""
    line = getattr(error, "lineno", None) if isinstance(error, SyntaxError) else None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
            line = trace.tb_lineno
        trace = trace.tb_next
    try:
        message = str(error.msg if isinstance(error, SyntaxError) else error)
    except Exception:
        message = "it cannot be put into words"
    return wit_world.Fault(kind=type(error).__name__[:80], message=message[:MESSAGE_MAX], line=line)


def answered(file, work):
    """The answer of `work`; whatever it raises becomes the error arm."""
    sys.stdout = sys.stderr = printed
    # What is not there must not be looked for in folders that are not there either.
    sys.path[:] = []
    sys.path_hooks[:] = []
    sys.path_importer_cache.clear()
    builtins.open = builtins.input = refuse
    try:
        return work()
    except componentize_py_types.Err:
        raise
    except BaseException as error:
        raise componentize_py_types.Err(fault(error, file)) from None


def loaded(source, file, **given):
    """The namespace of the source after it ran as a module."""
    module = types.ModuleType("metric")
    module.__file__ = file
    module.__dict__.update(given)
    # Data classes look their module up.
    sys.modules["metric"] = module
    exec(compile(source, file, "exec", dont_inherit=True), module.__dict__)
    return module.__dict__


def parameters(function):
    """Names of a function's parameters, with `*` before the one that takes the rest."""
    code = getattr(function, "__code__", None)
    if code is None:
        return ["*"]
    names = list(code.co_varnames[: code.co_argcount])
    return [*names, "*"] if code.co_flags & 0x04 else names


def listed(item):
    """An array as Python lists: of floats, or of tuples of floats when it has several columns."""
    values = array.array("d")
    values.frombytes(item.numbers)
    if item.columns == 1:
        return values.tolist()
    return list(zip(*[iter(values)] * item.columns))


def number(answer, of):
    """An answer as a float that is a number."""
    if isinstance(answer, (str, bytes, complex)) or answer is None:
        raise Answer(f"`{of}` returned {shortened(answer)}, not a number")
    try:
        value = float(answer)
    except (TypeError, ValueError, OverflowError):
        raise Answer(f"`{of}` returned {shortened(answer)}, not a number") from None
    if not math.isfinite(value):
        raise Answer(f"`{of}` returned {value}, not a finite number")
    return value


def shortened(value):
    """A value in a few letters."""
    if value is None:
        return "nothing"
    text = repr(value)
    return f"{text[:60]}… ({type(value).__name__})" if len(text) > 60 else f"{text} ({type(value).__name__})"


def meant(texts):
    """Labels as their file means them: whole numbers if all are, numbers if all are, else texts."""
    for kind in (int, float):
        try:
            values = [kind(text) for text in texts]
        except ValueError:
            continue
        if all(math.isfinite(value) for value in values):
            return values
    return list(texts)


def cell(text):
    """A cell of a submission: a number if it is written as one, else the text. `007` stays text."""
    found = NUMBER.match(text)
    if not found:
        return text
    return float(text) if found[2] or found[3] else int(text)


class Rows(collections.abc.Sequence):
    """The rows of a submission as dictionaries, made when they are looked at."""

    def __init__(self, names, lines):
        self.names = names
        self.lines = lines

    def __len__(self):
        return len(self.lines)

    def __getitem__(self, at):
        if isinstance(at, slice):
            return Rows(self.names, self.lines[at])
        return dict(zip(self.names, map(cell, self.lines[at])))

    def __iter__(self):
        names = self.names
        for line in self.lines:
            yield dict(zip(names, map(cell, line)))


def complaints_of(answer, row, function):
    """What a check function returned, as complaints."""
    if answer is None or answer is True:
        return []
    if answer is False:
        return [(row, "it was not accepted")]
    if isinstance(answer, str):
        return [(row, answer)] if answer else []
    try:
        items = list(answer)
    except TypeError:
        raise Answer(f"`{function}` returned {shortened(answer)}, not a list of complaints") from None
    found = []
    for item in items:
        if isinstance(item, str):
            found.append((row, item))
        elif isinstance(item, (tuple, list)) and len(item) == 2 and isinstance(item[0], int):
            found.append((int(item[0]), str(item[1])))
        else:
            raise Answer(
                f"`{function}` complained by {shortened(item)}; a complaint is a text or (row, text)"
            )
    return found


def constants(namespace):
    """Plain values that the source defines at its top level."""
    kinds = (bool, int, float, str)
    return {
        name: value
        for name, value in namespace.items()
        if not name.startswith("_") and isinstance(value, kinds) and len(str(value)) <= MESSAGE_MAX
    }


class WitWorld(wit_world.WitWorld):
    """The exports."""

    def inspect(self, source, file):
        def work():
            namespace = loaded(source, file)
            functions = {
                name: parameters(value)
                for name, value in namespace.items()
                if not name.startswith("_") and isinstance(value, types.FunctionType)
            }
            found = {"functions": functions, "constants": constants(namespace), "printed": printed.text}
            return json.dumps(found)

        return answered(file, work)

    def eval(self, source, file, function, arrays, arguments):
        def work():
            namespace = loaded(source, file)
            answer = namespace[function](*map(listed, arrays), *json.loads(arguments))
            return json.dumps(answer, allow_nan=False)

        return answered(file, work)

    def score(self, source, file, asked):
        def work():
            labels = meant(asked.labels)
            namespace = loaded(source, file, classes=labels)
            function = namespace["metric"]
            truth = listed(asked.truth)
            prediction = listed(asked.prediction)
            if asked.are_labels:
                truth = [labels[int(place)] for place in truth]
                prediction = [labels[int(place)] for place in prediction]
            takes_weight = len(parameters(function)) > 2
            return [
                self.one(file, function, truth, prediction, takes_weight, weighting)
                for weighting in asked.weightings
            ]

        return answered(file, work)

    def one(self, file, function, truth, prediction, takes_weight, weighting):
        """The score of one weighting. Each call gets lists of its own, so that none can spoil the next."""
        counts = array.array("I")
        counts.frombytes(weighting)
        try:
            if takes_weight:
                weight = list(map(float, counts)) if counts else [1.0] * len(truth)
                answer = function(list(truth), list(prediction), weight)
            elif counts:
                repeat = itertools.repeat
                chain = itertools.chain.from_iterable
                answer = function(
                    list(chain(map(repeat, truth, counts))), list(chain(map(repeat, prediction, counts)))
                )
            else:
                answer = function(list(truth), list(prediction))
            return wit_world.Outcome_Score(number(answer, "metric"))
        except MemoryError:
            raise
        except Exception as error:
            return wit_world.Outcome_Missing(fault(error, file))

    def check(self, source, file, submission):
        def work():
            namespace = loaded(source, file)
            lines = list(csv.reader(io.StringIO(submission)))
            rows = Rows(lines[0] if lines else [], lines[1:])
            found = []
            by_row = namespace.get("check_row")
            if by_row is not None:
                for place, row in enumerate(rows, start=1):
                    found += complaints_of(by_row(row), place, "check_row")
                    if len(found) >= COMPLAINTS_MAX:
                        break
            whole = namespace.get("check_submission")
            if whole is not None:
                found += complaints_of(whole(rows), None, "check_submission")
            return [
                wit_world.Complaint(
                    row=row if row is None or 0 <= row < 2**32 else None, message=message[:MESSAGE_MAX]
                )
                for row, message in found[:COMPLAINTS_MAX]
            ]

        return answered(file, work)
