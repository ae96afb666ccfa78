"""What does a language model add? Re-splits of training files, the playbook alone and with answers side by side.

usage: python benches/minds.py --data FOLDER [--tasks A,B] [--splits 5] [--first 0] [--trials 120] [--seconds 0] [--ansatz PATH]

FOLDER is as for strength.py. The answers lie in benches/minds/TASK.jsonl: lines with `match`, a part of the prompt, and
`reply`; they were written from the prompts of a run alone, before any score was seen. A server of this script gives them.
Every split gets a seed of its own, the same for both; with `--seconds` both get the same time instead of the same number of
trials. Hidden labels are never read. Prints one line per pair and, per task, the mean paired difference (positive: the model
helps) with its standard error.
"""

import json
import pathlib
import tempfile

import answers
import paired
import strength

HERE = pathlib.Path(__file__).resolve().parent


def main() -> None:
    """Runs the comparison."""
    parser = paired.options(__doc__, trials=120)
    parser.add_argument("--seconds", type=int, default=0)
    args = parser.parse_args()
    limit = paired.limit(args)
    scorer = strength.load(args.data / "score.py")
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
                    flags = [*limit, "--seed", str(split), *model]
                    ours, result = paired.submission(args.ansatz, folder, pathlib.Path(scratch) / f"run{len(scores)}", flags)
                    scores.append(scorer.evaluate(grading, truth, ours))
                    ideas = [idea["name"] for idea in (result.get("llm") or {}).get("ideas", []) if idea["delivered"]]
                    shown.append(f"{result['validation']['score']:.5f} in {result['budget']['wall_s']:.0f} s {ideas}")
            alone, helped = scores
            gains.append(paired.gain(scorer, grading, helped, alone))
            print(f"{name} split {split}: alone {alone:.5f} with {helped:.5f} gain {gains[-1]:+.5f} | {' | '.join(shown)}", flush=True)
        print(paired.verdict(name, gains), flush=True)


if __name__ == "__main__":
    main()
