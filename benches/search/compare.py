"""Ratios of mean normalised regret: one sampler's results beside another's, table by table.

usage: python benches/search/compare.py --tables FOLDER OURS.jsonl THEIRS.jsonl [--ours tpe] [--theirs tpe]

Both files hold lines of {table, sampler, seed, values}; only seeds that both have are compared. A ratio below 1 means
that ours is better. The last lines are geometric means over the tables.
"""

import argparse
import json
import math
import pathlib
import statistics

import tables

FLOOR = 1e-4
"""Smaller mean regrets are not told apart: a ratio to zero says nothing."""


def regrets(path: pathlib.Path, sampler: str, known: dict[str, tables.Table]) -> dict[str, dict[int, list[float]]]:
    """By table and seed: normalised regret at each checkpoint."""
    found: dict[str, dict[int, list[float]]] = {}
    for line in path.read_text().splitlines():
        record = json.loads(line)
        table = known.get(record["table"])
        if table is None or record["sampler"] != sampler:
            continue
        at = []
        for checkpoint in tables.CHECKPOINTS:
            seen = record["values"][:checkpoint]
            at.append(table.regret(max(seen) if table.maximize else min(seen)))
        found.setdefault(table.name, {})[record["seed"]] = at
    return found


def main() -> None:
    """Prints the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ours_file", type=pathlib.Path)
    parser.add_argument("theirs_file", type=pathlib.Path)
    parser.add_argument("--tables", type=pathlib.Path, required=True)
    parser.add_argument("--ours", default="tpe")
    parser.add_argument("--theirs", default="tpe")
    wanted = parser.parse_args()
    known = {table.name: table for table in tables.load_all(wanted.tables)}
    ours = regrets(wanted.ours_file, wanted.ours, known)
    theirs = regrets(wanted.theirs_file, wanted.theirs, known)
    logs: list[list[float]] = [[] for _ in tables.CHECKPOINTS]
    print(f"{wanted.ours} (ours) / {wanted.theirs}; mean normalised regret, standard error at the same points")
    for name in sorted(ours.keys() & theirs.keys()):
        seeds = sorted(ours[name].keys() & theirs[name].keys())
        parts = []
        for place, checkpoint in enumerate(tables.CHECKPOINTS):
            a = [ours[name][seed][place] for seed in seeds]
            b = [theirs[name][seed][place] for seed in seeds]
            ratio = max(statistics.fmean(a), FLOOR) / max(statistics.fmean(b), FLOOR)
            logs[place].append(math.log(ratio))
            spread = [statistics.stdev(x) / math.sqrt(len(x)) if len(x) > 1 else math.nan for x in (a, b)]
            parts.append(
                f"@{checkpoint} {statistics.fmean(a):.4f}±{spread[0]:.4f}/{statistics.fmean(b):.4f}±{spread[1]:.4f}"
                f"={ratio:.2f}"
            )
        print(f"  {name:28} {len(seeds):3} seeds  " + "  ".join(parts))
    means = "  ".join(
        f"@{checkpoint} {math.exp(statistics.fmean(log)):.3f}"
        for checkpoint, log in zip(tables.CHECKPOINTS, logs, strict=True)
        if log
    )
    print(f"  geometric mean of ratios     {means}")


if __name__ == "__main__":
    main()
