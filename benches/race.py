"""The tuner inside a run against successive halving: the same splits, seeds and numbers of trials for both.

usage: python benches/race.py --data FOLDER [--tasks A,B] [--splits 5] [--seeds 1] [--trials 60] [--seconds 0] [--ansatz PATH]

FOLDER is what `benches/strength.py` takes. Halving draws configurations by chance and races them over the folds; the races are
the same for the tuner. With `--trials` nothing depends on the machine's load; `--seconds` compares at equal time instead.
Scores are those of the submission on rows that no run saw. Prints one line per pair and, per task, the mean paired difference
(positive: the tuner is better) with its standard error over splits.
Needs pandas and scikit-learn: the worker environment's Python has them.
"""

import json
import pathlib
import tempfile

import numpy as np
import paired
import strength

WAYS = ("tuner", "halving")


def main() -> None:
    """Runs the comparison."""
    parser = paired.options(__doc__, trials=60)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--seconds", type=int, default=0)
    args = parser.parse_args()
    scorer = strength.load(args.data / "score.py")
    limit = paired.limit(args)
    for name in paired.tasks(args):
        grading = json.loads((args.data / name / "grading.json").read_text())
        by_split = []
        for split in range(args.first, args.first + args.splits):
            with tempfile.TemporaryDirectory() as scratch:
                folder = pathlib.Path(scratch) / name
                _, part = strength.resplit(args.data / name, folder, split)
                truth, gains = part.reset_index(drop=True), []
                for seed in range(args.seeds):
                    scores, shown = [], []
                    for way in WAYS:
                        flags = [*limit, "--seed", str(seed), "--searcher", way]
                        ours, result = paired.submission(args.ansatz, folder, folder.parent / f"{way}-{seed}", flags)
                        scores.append(scorer.evaluate(grading, truth, ours))
                        shown.append(f"{way} {scores[-1]:.5f} in {result['budget']['wall_s']:.0f} s")
                    gains.append(paired.gain(scorer, grading, *scores))
                    print(f"{name} split {split} seed {seed}: {', '.join(shown)}, gain {gains[-1]:+.5f}", flush=True)
            by_split.append(float(np.mean(gains)))
        print(paired.verdict(name, by_split), flush=True)


if __name__ == "__main__":
    main()
