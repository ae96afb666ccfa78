"""How much better than a default LightGBM? Re-splits of training files, the product and the reference side by side.

usage: python benches/strength.py --data FOLDER [--tasks A,B] [--splits 5] [--seeds 3] [--seconds 60] [--ansatz PATH]

FOLDER holds one folder per task (train.csv, test.csv, sample_submission.csv, task.md, grading.json), the reference
`reference_lgbm.py` and the scorer `score.py`. Hidden labels are never read: each split takes a quarter of train.csv as
its test, at random or, where the task's own test follows the training rows within each month, from the month's end.
Prints one line per run and, per task, the mean paired difference (positive: better) with its standard error.
Needs pandas, scikit-learn and lightgbm: the worker environment's Python has them.
"""

import importlib.util
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import types

import numpy as np
import paired
import pandas as pd


def load(path: pathlib.Path) -> types.ModuleType:
    """A module from a file."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_rows(train: pd.DataFrame, test: pd.DataFrame, split: int) -> np.ndarray:
    """Rows of train that play the test in this split."""
    chance = np.random.default_rng(1000 + split)
    for column in train.columns.intersection(test.columns):
        text = train[column].astype(str)
        if text.str.match(r"^\d{4}[-/]\d{1,2}[-/]\d{1,2}").mean() > 0.98:
            days = pd.to_datetime(train[column], format="mixed").dt.day
            later = pd.to_datetime(test[column], format="mixed").dt.day
            if later.min() > days.max():
                # The same shape, a little different each time: some rows of the earlier days leave the training part.
                tail = np.flatnonzero(days > days.max() - 4)
                return np.sort(chance.choice(tail, int(len(tail) * 0.9), replace=False))
    return np.sort(chance.choice(len(train), len(train) // 4, replace=False))


def resplit(source: pathlib.Path, target: pathlib.Path, split: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Writes a task folder whose test is a part of the training file. Returns training and test rows, labelled."""
    text = {"dtype": str, "keep_default_na": False}
    train, test = (pd.read_csv(source / name, **text) for name in ("train.csv", "test.csv"))
    sample = pd.read_csv(source / "sample_submission.csv", **text)
    chosen = test_rows(train, test, split)
    part, rest = train.iloc[chosen], train.drop(index=chosen)
    target.mkdir(parents=True)
    rest.to_csv(target / "train.csv", index=False)
    part[test.columns].to_csv(target / "test.csv", index=False)
    filled = pd.concat([sample.iloc[[0]]] * len(part), ignore_index=True)
    filled[sample.columns[0]] = part[sample.columns[0]].to_numpy()
    filled.to_csv(target / "sample_submission.csv", index=False)
    shutil.copy(source / "task.md", target / "task.md")
    return rest, part


def reference(module: types.ModuleType, folder: pathlib.Path, grading: dict, drop: list[str], seed: int) -> pd.DataFrame:
    """The reference's submission."""
    out = folder / "reference.csv"
    command = [sys.executable, module.__file__, str(folder), "--target", grading["target"], "--metric", grading["metric"],
               "--id", grading["id"], "--seed", str(seed), "--out", str(out)]
    if grading.get("positive"):
        command += ["--positive", str(grading["positive"])]
    if drop:
        command += ["--drop", *drop]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return pd.read_csv(out, dtype=str, keep_default_na=False)


def main() -> None:
    """Runs the comparison."""
    parser = paired.options(__doc__, trials=None)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--keep", type=pathlib.Path, help="keep the run folders here")
    args = parser.parse_args()
    scorer, module = load(args.data / "score.py"), load(args.data / "reference_lgbm.py")
    for name in paired.tasks(args):
        grading = json.loads((args.data / name / "grading.json").read_text())
        differences = []
        for split in range(args.first, args.first + args.splits):
            for seed in range(args.seeds):
                with tempfile.TemporaryDirectory() as scratch:
                    folder = pathlib.Path(scratch) / name
                    _, part = resplit(args.data / name, folder, split)
                    out = (args.keep or pathlib.Path(scratch)) / f"{name}-{split}-{seed}"
                    shutil.rmtree(out, ignore_errors=True)
                    flags = ["--seconds", str(args.seconds), "--seed", str(seed)]
                    try:
                        ours, result = paired.submission(args.ansatz, folder, out, flags)
                    except RuntimeError as error:
                        print(f"split {split} seed {seed}: {error}")
                        continue
                    leaks = [column["column"] for column in result["dropped"] if column["reason"] == "leak"]
                    theirs = reference(module, folder, grading, leaks, seed)
                    truth = part.reset_index(drop=True)
                    a, b = scorer.evaluate(grading, truth, ours), scorer.evaluate(grading, truth, theirs)
                    gain = paired.gain(scorer, grading, a, b)
                    differences.append(gain)
                    holdout = result["holdout"] or {"score": float("nan"), "low": float("nan"), "high": float("nan")}
                    print(
                        f"{name} split {split} seed {seed}: ours {a:.5f} reference {b:.5f} gain {gain:+.5f} ratio {a / b:.4f}"
                        f" | sealed {holdout['score']:.5f} [{holdout['low']:.5f}, {holdout['high']:.5f}]"
                        f" | {result['best']['candidate']} ({result['best']['trained']})"
                        f" | {result['budget']['trials']} trials {result['budget']['wall_s']:.1f} s"
                        f" first {result['budget']['first_valid_s'] or float('nan'):.1f} s | leaks {leaks}",
                        flush=True,
                    )
        if differences:
            # Seeds of one split share their test rows: the split is the unit.
            by_split = np.array(differences).reshape(-1, args.seeds).mean(axis=1) if len(differences) == args.splits * args.seeds else np.array(differences)
            print(paired.verdict(name, list(by_split)), flush=True)


if __name__ == "__main__":
    main()
