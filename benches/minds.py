"""What does a language model add? Re-splits of training files, the playbook alone and with answers side by side.

usage: python benches/minds.py --data FOLDER [--tasks A,B] [--splits 5] [--first 0] [--trials 120] [--ansatz PATH]

FOLDER is as for strength.py. The answers lie in benches/minds/TASK.jsonl: lines with `match`, a part of the prompt, and
`reply`; they were written from the prompts of a run alone, before any score was seen. A server of this script gives them.
Every split gets a seed of its own, the same for both. Hidden labels are never read. Prints one line per pair and, per
task, the mean paired difference (positive: the model helps) with its standard error.
"""

import argparse
import json
import pathlib
import subprocess
import tempfile

import numpy as np
import pandas as pd

import answers
import strength

HERE = pathlib.Path(__file__).resolve().parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--tasks")
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--trials", type=int, default=120)
    parser.add_argument("--ansatz", default="target/debug/ansatz")
    args = parser.parse_args()
    scorer = strength.load(args.data / "score.py")
    program = str(pathlib.Path(args.ansatz).resolve())
    for name in args.tasks.split(",") if args.tasks else sorted(path.stem for path in (HERE / "minds").glob("*.jsonl")):
        grading = json.loads((args.data / name / "grading.json").read_text())
        base = answers.serve(answers.read(HERE / "minds" / f"{name}.jsonl"))
        gains = []
        for split in range(args.first, args.first + args.splits):
            with tempfile.TemporaryDirectory() as scratch:
                folder = pathlib.Path(scratch) / name
                _, part = strength.resplit(args.data / name, folder, split)
                truth, scores, shown = part.reset_index(drop=True), [], []
                for model in ([], ["--llm", base, "--model", "answers"]):
                    out = pathlib.Path(scratch) / f"run{len(scores)}"
                    command = [program, "run", str(folder), "--trials", str(args.trials), "--seed", str(split), *model]
                    command += ["--out", str(out), "--no-memory", "--json", "-q"]
                    done = subprocess.run(command, capture_output=True, text=True)
                    if done.returncode != 0:
                        raise SystemExit(f"{name} split {split}: exit {done.returncode}: {done.stderr[-300:]}")
                    result = json.loads(done.stdout)
                    ours = pd.read_csv(out / "submission.csv", dtype=str, keep_default_na=False)
                    scores.append(scorer.evaluate(grading, truth, ours))
                    ideas = [idea["name"] for idea in (result.get("llm") or {}).get("ideas", []) if idea["delivered"]]
                    shown.append(f"{result['validation']['score']:.5f} in {result['budget']['wall_s']:.0f} s {ideas}")
            gain = scores[1] - scores[0] if scorer.HIGHER[grading["metric"]] else scores[0] - scores[1]
            gains.append(gain)
            print(f"{name} split {split}: alone {scores[0]:.5f} with {scores[1]:.5f} gain {gain:+.5f} | {' | '.join(shown)}", flush=True)
        mean, error = float(np.mean(gains)), float(np.std(gains, ddof=1) / np.sqrt(len(gains))) if len(gains) > 1 else float("nan")
        print(f"== {name}: mean gain {mean:+.5f} ± {error:.5f} ({mean / error if error else float('nan'):+.1f} SE)", flush=True)


if __name__ == "__main__":
    main()
