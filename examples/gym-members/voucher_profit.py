"""What the chain earns, per member, by sending a voucher to everybody who is predicted to leave.

ansatz run examples/gym-members --metric examples/gym-members/voucher_profit.py --seconds 60
"""

name = "voucher_profit"
higher_is_better = True
needs = "label"

VOUCHER = 8.0
MEMBER_KEPT = 45.0


def metric(truth, prediction, weight):
    earned = 0.0
    for actual, predicted, times in zip(truth, prediction, weight):
        if predicted == "yes":
            earned -= times * VOUCHER
            if actual == "yes":
                earned += times * MEMBER_KEPT
    return earned / sum(weight)
