"""The tuner inside a run against successive halving: the same splits, seeds and numbers of trials for both.

usage: python benches/race.py --data FOLDER [--tasks A,B] [--splits 5] [--seeds 1] [--trials 60] [--seconds 0] [--ansatz PATH]

FOLDER is what `benches/strength.py` takes. Halving draws configurations by chance and races them over the folds; the races are
the same for the tuner. With `--trials` nothing depends on the machine's load; `--seconds` compares at equal time instead.
Scores are those of the submission on rows that no run saw. Prints one line per pair and, per task, the mean paired difference
(positive: the tuner is better) with its standard error over splits.
Needs pandas and scikit-learn: the worker environment's Python has them.
"""

import argparse
import json
import pathlib
import subprocess
import tempfile

import numpy as np
import pandas as pd
import strength

WAYS = ("tuner", "halving")


def score(program: str, folder: pathlib.Path, way: str, seed: int, args: argparse.Namespace, judge) -> tuple[float, float]:
    """Loss of one run on the hidden rows (less is better), and the seconds that it took."""
    out = folder.parent / f"{way}-{seed}"
    limit = ["--seconds", str(args.seconds)] if args.seconds else ["--trials", str(args.trials)]
    command = [program, "run", str(folder), *limit, "--seed", str(seed), "--searcher", way, "--out", str(out), "--no-memory", "--json", "-q"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{folder.name}, {way}: exit {done.returncode}: {done.stderr[-300:]}")
    ours = pd.read_csv(out / "submission.csv", dtype=str, keep_default_na=False)
    return judge(ours), json.loads(done.stdout)["budget"]["wall_s"]


def main() -> None:
    """Runs the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--tasks")
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--seconds", type=int, default=0)
    parser.add_argument("--ansatz", default="target/debug/ansatz")
    args = parser.parse_args()
    scorer = strength.load(args.data / "score.py")
    names = args.tasks.split(",") if args.tasks else sorted(path.parent.name for path in args.data.glob("*/grading.json"))
    program = str(pathlib.Path(args.ansatz).resolve())
    for name in names:
        grading = json.loads((args.data / name / "grading.json").read_text())
        by_split = []
        for split in range(args.first, args.first + args.splits):
            gains = []
            for seed in range(args.seeds):
                with tempfile.TemporaryDirectory() as scratch:
                    folder = pathlib.Path(scratch) / name
                    _, part = strength.resplit(args.data / name, folder, split)
                    truth = part.reset_index(drop=True)

                    def judge(ours: pd.DataFrame) -> float:
                        found = scorer.evaluate(grading, truth, ours)
                        return -found if scorer.HIGHER[grading["metric"]] else found

                    (tuner, a), (halving, b) = (score(program, folder, way, seed, args, judge) for way in WAYS)
                    gains.append(halving - tuner)
                    print(f"{name} split {split} seed {seed}: tuner {tuner:.5f} in {a:.0f} s, halving {halving:.5f} in {b:.0f} s, "
                          f"gain {halving - tuner:+.5f}", flush=True)
            by_split.append(float(np.mean(gains)))
        error = float(np.std(by_split, ddof=1) / np.sqrt(len(by_split))) if len(by_split) > 1 else float("nan")
        mean = float(np.mean(by_split))
        print(f"== {name}: mean gain {mean:+.5f} ± {error:.5f} ({mean / error if error else float('nan'):+.1f} SE)", flush=True)


if __name__ == "__main__":
    main()
