"""Makes the example data set `gym-members/`: who will cancel their membership? Everything in it is invented.

usage: python make_gym_members.py

Needs Python 3.11 and nothing else; the same files come out every time. One column is a trap: `exit_interview` is
entered when a member has already cancelled, so it is filled for nearly all who left and for nobody in the test file.
A system that trusts it looks perfect in validation and fails on the test.
"""

import csv
import datetime
import math
import pathlib
import random

ROWS_TRAIN = 2_400
ROWS_TEST = 800
FOLDER = pathlib.Path(__file__).resolve().parent / "gym-members"
CLUBS = ["Harbour", "Old Town", "Northgate", "Riverside", "Campus"]
PLANS = {"month to month": 0.9, "yearly": -0.7, "family": -0.4, "student": 0.3}
GOALS = ["lose weight", "get stronger", "company", "rehabilitation", ""]
REASONS = ["too far", "moving away", "no time", "too expensive", "injury"]
COLUMNS = [
    "member", "joined", "club", "plan", "age", "goal", "distance_km", "visits_last_month", "visits_before",
    "classes_booked", "complaints", "monthly_fee", "freeze_days", "exit_interview", "cancelled",
]


def member(number: int, chance: random.Random, in_test: bool) -> dict[str, object]:
    """One member with everything that is known, the outcome included."""
    joined = datetime.date(2022, 1, 1) + datetime.timedelta(days=chance.randrange(900))
    plan = chance.choice(list(PLANS))
    age = min(max(int(chance.gauss(24 if plan == "student" else 39, 5 if plan == "student" else 12)), 16), 80)
    distance = round(math.exp(chance.gauss(0.9, 0.8)), 1)
    habit = max(chance.gauss(7, 4) - 0.25 * distance, 0.0)
    before = max(int(chance.gauss(habit, 2)), 0)
    last = max(int(chance.gauss(habit - chance.choice([0, 0, 0, 3]), 2)), 0)
    classes = min(last, max(int(chance.gauss(1.5, 1.5)), 0))
    complaints = int(chance.expovariate(2.2))
    fee = round({"month to month": 49, "yearly": 35, "family": 29, "student": 25}[plan] + chance.gauss(0, 3), 2)
    freeze = chance.choice([0, 0, 0, 0, 14, 30, 60])
    months = (datetime.date(2024, 7, 1) - joined).days / 30
    score = (
        PLANS[plan] - 0.28 * last - 0.35 * min(last - before, 3) - 0.25 * classes + 0.55 * complaints
        + 0.10 * distance + 0.02 * freeze + 0.9 * math.exp(-months / 6) - 0.012 * (age - 38) - 0.5
    )
    if plan == "yearly" and 10.5 < months % 12 < 12:
        score += 1.4
    cancelled = chance.random() < 1 / (1 + math.exp(-score))
    asked = cancelled and not in_test and chance.random() < 0.96
    return {
        "member": number, "joined": joined.isoformat(), "club": chance.choice(CLUBS), "plan": plan,
        "age": age if chance.random() > 0.08 else "", "goal": chance.choice(GOALS), "distance_km": distance,
        "visits_last_month": last, "visits_before": before, "classes_booked": classes, "complaints": complaints,
        "monthly_fee": fee, "freeze_days": freeze, "exit_interview": chance.choice(REASONS) if asked else "",
        "cancelled": "yes" if cancelled else "no",
    }


def write(name: str, columns: list[str], rows: list[dict[str, object]]) -> None:
    """Writes some columns of some rows."""
    with (FOLDER / name).open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    """Writes the three files."""
    chance = random.Random(20240701)
    FOLDER.mkdir(exist_ok=True)
    train = [member(number, chance, False) for number in range(1, ROWS_TRAIN + 1)]
    test = [member(number, chance, True) for number in range(ROWS_TRAIN + 1, ROWS_TRAIN + ROWS_TEST + 1)]
    write("train.csv", COLUMNS, train)
    write("test.csv", COLUMNS[:-1], test)
    sample = [{"member": row["member"], "cancelled": 0.3} for row in test]
    write("sample_submission.csv", ["member", "cancelled"], sample)


if __name__ == "__main__":
    main()
