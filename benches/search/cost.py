"""How long a suggestion takes: ours beside Optuna's, on the same machine, by turns.

usage: python benches/search/cost.py COST_PROGRAM [--sampler tpe,gp] [--rounds 3]

COST_PROGRAM is the built example `cost` of the crate `ansatz-tuner` (`cargo build -p ansatz-tuner --example cost`). Ten
parameters of every kind; what came before the time is taken was drawn by chance; medians over 21 suggestions (five for
Optuna's process at 250), the best round of each. Needs the packages of benches/search/requirements.lock.
"""

import argparse
import math
import re
import statistics
import subprocess
import time
import warnings

import optuna

ASKED = {("tpe", 100): 0.5, ("tpe", 1000): 2.0, ("gp", 100): 40.0, ("gp", 250): 250.0}
"""Milliseconds that a suggestion may take."""


def value(params: dict) -> float:
    """The same made function as on our side."""

    def term(one: object) -> float:
        if isinstance(one, bool):
            return float(one)
        if isinstance(one, str):
            return float(len(one))
        return math.log1p(abs(one - 0.3))

    return sum(term(one) for one in params.values())


def space() -> dict[str, optuna.distributions.BaseDistribution]:
    """The same ten parameters as on our side."""
    real, whole, choice = (
        optuna.distributions.FloatDistribution,
        optuna.distributions.IntDistribution,
        optuna.distributions.CategoricalDistribution,
    )
    return {
        "a": real(-2.0, 3.0),
        "b": real(1e-6, 1.0, log=True),
        "c": real(0.0, 1.0),
        "d": real(0.1, 10.0, log=True),
        "e": whole(-5, 5),
        "f": whole(1, 4096, log=True),
        "g": whole(0, 100),
        "h": choice(["x", "yy", "zzz"]),
        "i": choice([False, True]),
        "j": choice(["p", "qq", "rrr", "ssss"]),
    }


def theirs(name: str, trials: int) -> float:
    """Optuna's median, in milliseconds."""
    made = optuna.samplers.TPESampler(seed=1, multivariate=True) if name == "tpe" else optuna.samplers.GPSampler(seed=1)
    known = space()
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for _ in range(trials - 10):
        trial = study.ask(known)
        study.tell(trial, value(trial.params))
    study.sampler = made
    seconds = []
    for _ in range(5 if name == "gp" and trials > 100 else 21):
        start = time.perf_counter()
        trial = study.ask(known)
        seconds.append(time.perf_counter() - start)
        study.tell(trial, value(trial.params))
    return 1e3 * statistics.median(seconds)


def ours(program: str, name: str) -> dict[int, float]:
    """Our medians by trials, in milliseconds."""
    said = subprocess.run([program, name], check=True, capture_output=True, text=True).stdout
    return {int(at): float(ms) for at, ms in re.findall(r"at (\d+) trials: median ([\d.]+) ms", said)}


def main() -> None:
    """Prints medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--sampler", default="tpe,gp")
    parser.add_argument("--rounds", type=int, default=3)
    wanted = parser.parse_args()
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    for name in wanted.sampler.split(","):
        best: dict[tuple[str, int], float] = {}
        for _ in range(wanted.rounds):
            for trials, ms in ours(wanted.program, name).items():
                best["ours", trials] = min(ms, best.get(("ours", trials), math.inf))
                if (name, trials) in ASKED:
                    best["theirs", trials] = min(theirs(name, trials), best.get(("theirs", trials), math.inf))
        for (whose, trials), ms in sorted(best.items(), key=lambda one: one[0][1]):
            if whose == "ours" and (name, trials) in ASKED:
                other = best["theirs", trials]
                print(
                    f"{name} at {trials}: {ms:.2f} ms (asked {ASKED[name, trials]:g}), "
                    f"Optuna {other:.2f} ms, ratio {ms / other:.3f}"
                )


if __name__ == "__main__":
    main()
