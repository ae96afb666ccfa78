"""Entry points: `reader`, `zygote` and `spawner` speak the protocol on descriptor 3.

`spawned` is a trial that the spawner starts anew, `apply` predicts with a bundle,
`answer` does so row by row when asked.
"""

from __future__ import annotations

import sys
from pathlib import Path

USAGE = "usage: python -m ansatz_worker reader | zygote | apply BUNDLE INPUT.csv OUTPUT.csv [ROWS]"
CONTROL_DESCRIPTOR = 3


def main(arguments: list[str]) -> int:
    """Runs the process that the first argument names; the exit status."""
    match arguments:
        case ["reader"]:
            from ansatz_worker.reader import serve

            return serve.main(CONTROL_DESCRIPTOR)
        case ["zygote"]:
            from ansatz_worker import zygote

            return zygote.main(CONTROL_DESCRIPTOR)
        case ["spawner"]:
            from ansatz_worker import zygote

            return zygote.spawner(CONTROL_DESCRIPTOR)
        case ["spawned", trial, out, table, parent]:
            from ansatz_worker import spawned

            folder = Path(table) if table else None
            return spawned.live(CONTROL_DESCRIPTOR, int(trial), Path(out), folder, int(parent))
        case ["answer", bundle, source]:
            from ansatz_worker import answering

            return answering.main(CONTROL_DESCRIPTOR, Path(bundle), Path(source))
        case ["apply", bundle, source, output, *rows_max] if len(rows_max) <= 1:
            from ansatz_worker import bundle_predict

            return bundle_predict.run(Path(bundle), Path(source), Path(output), *map(int, rows_max))
        case _:
            print(USAGE, file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
