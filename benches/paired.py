"""What the benchmarks of whole runs share: options, one run on a re-split of a training file, and the verdict over pairs."""

import argparse
import json
import pathlib
import subprocess
import types

import numpy as np
import pandas as pd


def options(doc: str | None, trials: int | None) -> argparse.ArgumentParser:
    """The options of all; `trials` is the default of `--trials` where runs count them."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--tasks")
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--first", type=int, default=0)
    if trials is not None:
        parser.add_argument("--trials", type=int, default=trials)
    parser.add_argument("--ansatz", default="target/debug/ansatz")
    return parser


def limit(args: argparse.Namespace) -> list[str]:
    """The flags of what a run may use: seconds where they are asked for, else trials."""
    return ["--seconds", str(args.seconds)] if args.seconds else ["--trials", str(args.trials)]


def tasks(args: argparse.Namespace) -> list[str]:
    """Names of the tasks asked for; all of the folder without a choice."""
    return args.tasks.split(",") if args.tasks else sorted(path.parent.name for path in args.data.glob("*/grading.json"))


def submission(ansatz: str, folder: pathlib.Path, out: pathlib.Path, flags: list[str]) -> tuple[pd.DataFrame, dict]:
    """A run's submission and result.

    Raises:
        RuntimeError: the run failed.
    """
    program = str(pathlib.Path(ansatz).resolve())
    command = [program, "run", str(folder), *flags, "--out", str(out), "--no-memory", "--json", "-q"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{folder.name}: exit {done.returncode}: {done.stderr[-300:]}")
    return pd.read_csv(out / "submission.csv", dtype=str, keep_default_na=False), json.loads(done.stdout)


def gain(scorer: types.ModuleType, grading: dict, ours: float, theirs: float) -> float:
    """How much better the first of two scores is."""
    return ours - theirs if scorer.HIGHER[grading["metric"]] else theirs - ours


def verdict(name: str, gains: list[float]) -> str:
    """The mean gain with its standard error, in a line; the split is the unit."""
    mean = float(np.mean(gains))
    error = float(np.std(gains, ddof=1) / np.sqrt(len(gains))) if len(gains) > 1 else float("nan")
    return f"== {name}: mean gain {mean:+.5f} ± {error:.5f} ({mean / error if error else float('nan'):+.1f} SE)"
