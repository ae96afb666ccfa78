"""Makes the past studies that ship with the playbook out of measurements by `evaluate.py`.

usage: python benches/portfolio/portfolio.py MEASURED.jsonl --out agents/pasts

Writes one compact file per solution of which every task was measured: its configurations, and per task their losses. The
program reads them as past studies: the search over a solution begins where others ended.
"""

import argparse
import collections
import json
import pathlib


def main() -> None:
    """Writes the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measured", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    args = parser.parse_args()
    records = [json.loads(line) for line in args.measured.read_text().splitlines()]
    by_solution = collections.defaultdict(list)
    for record in records:
        by_solution[record["solution"]].append(record)
    complete = max(len({record["task"] for record in found}) for found in by_solution.values())
    args.out.mkdir(parents=True, exist_ok=True)
    for solution, found in sorted(by_solution.items()):
        names = sorted(found[0]["params"])
        numbers = sorted({record["number"] for record in found})
        params = {record["number"]: [record["params"][name] for name in names] for record in found}
        tasks = {}
        for record in found:
            task = tasks.setdefault(record["task"], {"name": record["task"], "problem": record["problem"], "losses": {}})
            task["losses"][record["number"]] = float(f"{record['loss']:.5g}")
        kept = [
            {**task, "losses": [task["losses"].get(number) for number in numbers]}
            for task in tasks.values()
            if len(task["losses"]) >= len(numbers) // 2
        ]
        if len(kept) < complete // 2:
            print(f"{solution}: only {len(kept)} tasks were measured; nothing is written")
            continue
        lines = [f' "{key}": {json.dumps(value)}' for key, value in (("parameters", names),)]
        lines.append(' "configurations": [\n' + ",\n".join(f"  {json.dumps(params[number])}" for number in numbers) + "\n ]")
        lines.append(' "tasks": [\n' + ",\n".join(f"  {json.dumps(task)}" for task in kept) + "\n ]")
        (args.out / f"{solution}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
        print(f"{solution}: {len(numbers)} configurations on {len(kept)} tasks")


if __name__ == "__main__":
    main()
