#!/usr/bin/env python3
"""How long a sentence in `ansatz chat` waits for its first word: from the line end sent to the first byte that comes back.

usage: benches/chat.py [PROGRAM] [ROUNDS]   (default: target/debug/ansatz 5)

The first sentences are said before there is a run, the others while one goes on: the last part asks about a run
that goes on. Printed: median and worst, in milliseconds, by kind of sentence.
"""

import os
import pathlib
import select
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BEFORE = [
    "hello", "help", "what does it cost?", "the moon is made of cheese", "what is the AUC?", "don't stop",
    "predict y in small.csv, accuracy, 30 trials",
]
DURING = [
    "how is it going?", "what is best?", "what did you drop?", "which columns matter?", "why that model?", "how sure are you?",
    "how long still?", "show me the predictions", "what is wrong with my data?", "show me the leaderboard",
    "should I drop the size column?", "please don't stop yet", "does the model use size?", "is it interpretable?",
    "can you predict new.csv?", "what did you drop? how sure are you?", "drop the weight column",
]


def table(rows: int) -> str:
    lines = ["id,size,weight,y"]
    lines += [f"{n},{n * 37 % 101},{n * 53 % 89}.5,{int(n * 37 % 101 + n * 7919 % 13 > 55)}" for n in range(rows)]
    return "\n".join(lines) + "\n"


class Chat:
    def __init__(self, program: str, folder: str) -> None:
        self.child = subprocess.Popen(
            [program, "chat", "--", "--no-memory"], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        os.set_blocking(self.child.stdout.fileno(), False)

    def heard(self, longest: float) -> str:
        """What is said until nothing more comes for a while."""
        text = b""
        while select.select([self.child.stdout], [], [], longest)[0]:
            piece = os.read(self.child.stdout.fileno(), 65536)
            if not piece:
                break
            text += piece
        return text.decode(errors="replace")

    def say(self, sentence: str) -> float:
        started = time.perf_counter()
        self.child.stdin.write((sentence + "\n").encode())
        self.child.stdin.flush()
        if not select.select([self.child.stdout], [], [], 10)[0]:
            return float("inf")
        return (time.perf_counter() - started) * 1000

    def until(self, words: str, longest: float) -> None:
        end, text = time.perf_counter() + longest, ""
        while words not in text and time.perf_counter() < end:
            text += self.heard(0.2)
        assert words in text, f"{words!r} did not come: {text}"


def main() -> None:
    program = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else ROOT / "target" / "debug" / "ansatz")
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    times: dict[str, list[float]] = {}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            pathlib.Path(folder, "small.csv").write_text(table(300))
            chat = Chat(program, folder)
            chat.until("what is to be predicted", 20)
            for sentence in BEFORE[:-1]:
                times.setdefault(sentence, []).append(chat.say(sentence))
                chat.heard(0.3)
            times.setdefault(BEFORE[-1], []).append(chat.say(BEFORE[-1]))
            chat.until("shall I begin?", 60)
            chat.heard(0.3)
            times.setdefault("yes", []).append(chat.say("yes"))
            chat.heard(3)
            for sentence in DURING:
                times.setdefault(sentence, []).append(chat.say(sentence))
                chat.heard(0.2)
            chat.child.stdin.write(b"quit\n")
            chat.child.stdin.close()
            chat.child.wait(120)
    for sentence, found in times.items():
        print(f"{statistics.median(found):8.1f} {max(found):8.1f}  {sentence}")
    every = [one for found in times.values() for one in found]
    late = sum(one > 100 for one in every)
    print(f"{statistics.median(every):8.1f} {max(every):8.1f}  of {len(every)} sentences; {late} waited longer than 100 ms")


if __name__ == "__main__":
    main()
