"""Looks over the submission before it is written.

ansatz run examples/gym-members --check examples/gym-members/check_submission.py --seconds 60
"""


def check_row(row):
    if not 0 <= row["cancelled"] <= 1:
        return f"{row['cancelled']} is no probability"


def check_submission(rows):
    mean = sum(row["cancelled"] for row in rows) / len(rows)
    return [] if 0.02 < mean < 0.98 else [f"on average {mean:.3f}: is yes the class that is meant?"]
