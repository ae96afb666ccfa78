"""Is a run with a model that is of no use worse than one without? At equal time, for every way to be of no use.

usage: python benches/faults.py --data FOLDER [--tasks A,B] [--splits 2] [--seconds 60] [--faults A,B] [--ansatz PATH]

FOLDER is as for strength.py. Each fault is an endpoint of this script: `garbage`, `empty`, `refusal` and `hostile` (plans whose
code never ends, eats memory or gives nonsense) answer; `busy` (429) and `broken` (500) do not; `hanging` keeps silent;
`truncated` stops in the middle of its reply. Prints one line per run and, per task, the mean paired difference to the run
without a model (positive: better with) with its standard error over all pairs, and how long the runs took at most.
"""

import argparse
import json
import pathlib
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import paired
import strength

HANG_S = 90
IDEA = {"kind": "new_solution", "solution": "lightgbm", "inputs": [], "output": "predictions", "check": "nothing", "params": [], "tune": True,
        "score": 0.99, "seconds": 1}  # fmt: skip
HEAD = "import numpy as np\nSPACE = {}\ndef fit_features(train, y, *, task, params, seed):\n    return None, train\n"
HEAD += "def features(state, rows, *, task):\n    return rows\n"
FIT = "def fit(X, y, *, task, params, seed, threads, weight=None, stage=None, report=None):\n    "
PREDICT = "def predict(model, X, *, task, stage=None):\n    return np.full((len(X), task.outputs), 0.5)\n"
CODES = [
    HEAD + FIT + "while True: pass\n" + PREDICT,
    HEAD + FIT + "return np.ones((400_000, 20_000))\n" + PREDICT,
    HEAD + FIT + "return None\n" + PREDICT.replace("0.5", "np.nan"),
    HEAD + FIT + "return None\n" + PREDICT,
]


def hostile(prompt: str) -> str:
    """What fits the question's form and is of no use."""
    if "# Your part: plan" in prompt:
        branches = [{**IDEA, "what": f"way {number}"} for number in range(4)]
        plan = {"name": "best", "bet": "all", "branches": branches, "score": 0.99, "score_low": 0.98, "score_high": 1.0, "because": "trust me"}
        return json.dumps({"observations": [], "plans": [plan]})
    if "```python" in prompt:
        return f"```python solution.py\n{CODES[len(prompt) % len(CODES)]}```"
    return json.dumps({"decision": "stop", "drop": ["lightgbm", "catboost", "linear"], "configurations": [], "concerns": []})


ANSWERS = {
    "garbage": lambda prompt: "I would rather talk of the weather {[}",
    "empty": lambda prompt: "",
    "refusal": lambda prompt: "I am sorry, but I cannot help with that.",
    "hostile": hostile,
}
FAULTS = (*ANSWERS, "busy", "broken", "hanging", "truncated")


def serve(fault: str) -> str:
    """Starts an endpoint of that fault, which ends with the process; its base URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            prompt = "\n".join(str(message["content"]) for message in body["messages"])
            if fault == "hanging":
                time.sleep(HANG_S)
            status = {"busy": 429, "broken": 500}.get(fault, 200)
            reply = ANSWERS.get(fault, ANSWERS["garbage"])(prompt)
            choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": reply}}
            text = json.dumps({"model": fault, "choices": [choice], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            if status == 429:
                self.send_header("Retry-After", "1")
            self.end_headers()
            self.wfile.write(text[: len(text) // 2] if fault == "truncated" else text)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}/v1"


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = paired.options(__doc__, trials=None)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--faults", default=",".join(FAULTS))
    return parser.parse_args()


def main() -> None:
    """Runs the comparison."""
    args = arguments()
    scorer = strength.load(args.data / "score.py")
    for name in paired.tasks(args):
        grading = json.loads((args.data / name / "grading.json").read_text())
        gains, longest = [], 0.0
        for split in range(args.first, args.first + args.splits):
            with tempfile.TemporaryDirectory() as scratch:
                folder = pathlib.Path(scratch) / name
                _, part = strength.resplit(args.data / name, folder, split)
                truth, alone = part.reset_index(drop=True), 0.0
                for fault in ("none", *args.faults.split(",")):
                    model = [] if fault == "none" else ["--llm", serve(fault), "--model", fault]
                    flags = ["--seconds", str(args.seconds), "--seed", str(split), *model]
                    ours, result = paired.submission(args.ansatz, folder, pathlib.Path(scratch) / fault, flags)
                    score, wall = scorer.evaluate(grading, truth, ours), result["budget"]["wall_s"]
                    longest = max(longest, wall)
                    if fault == "none":
                        alone = score
                    else:
                        gains.append(paired.gain(scorer, grading, score, alone))
                    print(f"{name} split {split} {fault}: {score:.5f} in {wall:.1f} s, {result['budget']['trials']} trials", flush=True)
        print(f"{paired.verdict(name, gains)}, at most {longest:.1f} of {args.seconds} s", flush=True)


if __name__ == "__main__":
    main()
