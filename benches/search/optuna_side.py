"""Optuna's samplers on tables of recorded evaluations, from the same initial points as ours.

usage: python benches/search/optuna_side.py --tables FOLDER --out FILE.jsonl [--sampler tpe,gp,random] [--seeds 20]
       [--first-seed 0] [--trials 50] [--only NAME,NAME] [--noisy]

FOLDER holds NAME.f32 and NAME.json (see `tables.py`). Each finished study is one JSON line
{table, sampler, seed, values, seconds}; studies that FILE already holds are skipped, so a run can be cut short and
continued. Needs the packages of benches/search/requirements.lock.
"""

import argparse
import json
import pathlib
import time
import warnings

import optuna
import tables


def sampler_of(name: str, seed: int, noisy: bool) -> optuna.samplers.BaseSampler:
    """A sampler as a user would make it, but for the five initial points that every method here starts from."""
    if name == "tpe":
        return optuna.samplers.TPESampler(n_startup_trials=tables.INITIAL, seed=seed)
    if name == "gp":
        return optuna.samplers.GPSampler(
            n_startup_trials=tables.INITIAL, seed=seed, deterministic_objective=not noisy
        )
    return optuna.samplers.RandomSampler(seed=seed)


def study(table: tables.Table, name: str, seed: int, trials: int, noisy: bool) -> list[float]:
    """The values that a study of `trials` evaluations sees, in order."""
    direction = "maximize" if table.maximize else "minimize"
    made = optuna.create_study(direction=direction, sampler=sampler_of(name, seed, noisy))
    for point in table.initial_points(seed):
        made.enqueue_trial({p.name: p.shown(i) for p, i in zip(table.parameters, point, strict=True)})

    def objective(trial: optuna.Trial) -> float:
        point = []
        for p in table.parameters:
            if p.categorical:
                point.append(p.values.index(trial.suggest_categorical(p.name, p.values)))
            else:
                point.append(trial.suggest_int(p.name, 0, len(p.values) - 1))
        return table.value(point)

    made.optimize(objective, n_trials=trials)
    return [trial.value for trial in made.trials]


def main() -> None:
    """Runs what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--sampler", default="tpe,gp,random")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--only", default="")
    parser.add_argument("--noisy", action="store_true", help="leave GPSampler's deterministic_objective at its default")
    wanted = parser.parse_args()
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)

    done = set()
    if wanted.out.exists():
        for line in wanted.out.read_text().splitlines():
            record = json.loads(line)
            done.add((record["table"], record["sampler"], record["seed"]))
    only = set(filter(None, wanted.only.split(",")))
    found = [t for t in tables.load_all(wanted.tables) if not only or t.name in only]
    with wanted.out.open("a") as out:
        for name in wanted.sampler.split(","):
            for seed in range(wanted.first_seed, wanted.first_seed + wanted.seeds):
                for table in found:
                    label = f"{name}-noisy" if wanted.noisy and name == "gp" else name
                    if (table.name, label, seed) in done:
                        continue
                    start = time.perf_counter()
                    values = study(table, name, seed, wanted.trials, wanted.noisy)
                    record = {
                        "table": table.name,
                        "sampler": label,
                        "seed": seed,
                        "values": values,
                        "seconds": round(time.perf_counter() - start, 3),
                    }
                    out.write(json.dumps(record) + "\n")
                    out.flush()


if __name__ == "__main__":
    main()
