"""One trial of a PostgreSQL configuration: restart the server with it, answer six analytic questions, print the seconds.

    python3 bench.py prepare FOLDER [SCALE]     make a server and its data (once)
    python3 bench.py run FOLDER                 one measurement; parameters come as ANSATZ_PARAM_<NAME>
    python3 bench.py stop FOLDER                stop the server

Needs the distribution's PostgreSQL package and nothing else. The server listens on a Unix socket inside FOLDER alone and belongs to this
benchmark; a server that runs on the machine is not touched. SCALE 1.0 (the default 2.0) is about 600,000 order lines (75 MB with their indexes). The six questions have the shape of a
well-known analytic benchmark: a wide aggregate, a filter over a range, joins of three to six tables, a semi-join, a top list.
"""

from __future__ import annotations

import glob
import os
import pwd
import shutil
import subprocess
import sys
import time
from pathlib import Path

UNITS_MB = ("shared_buffers", "work_mem", "effective_cache_size")
ROUNDS = 2  # the questions are asked so often after a warm-up; the faster round counts

SCHEMA = """
SELECT setseed(0.42);
CREATE TABLE region AS SELECT i AS r_key, 'REGION ' || i AS r_name FROM generate_series(0, 4) i;
CREATE TABLE nation AS SELECT i AS n_key, 'NATION ' || i AS n_name, i % 5 AS n_region FROM generate_series(0, 24) i;
CREATE TABLE supplier AS
  SELECT i AS s_key, (random() * 24)::int AS s_nation FROM generate_series(1, {suppliers}) i;
CREATE TABLE customer AS
  SELECT i AS c_key, (random() * 24)::int AS c_nation, 'SEGMENT ' || (random() * 4)::int AS c_segment, round((random() * 9999)::numeric, 2) AS c_balance
  FROM generate_series(1, {customers}) i;
CREATE TABLE part AS
  SELECT i AS p_key, 'BRAND ' || (random() * 24)::int AS p_brand, (random() * 49)::int + 1 AS p_size FROM generate_series(1, {parts}) i;
CREATE TABLE orders AS
  SELECT i AS o_key, (random() * ({customers} - 1))::int + 1 AS o_customer, DATE '2018-01-01' + (random() * 2400)::int AS o_date,
         (random() * 4)::int AS o_priority
  FROM generate_series(1, {orders}) i;
CREATE TABLE line AS
  SELECT o_key AS l_order, (random() * ({parts} - 1))::int + 1 AS l_part, (random() * ({suppliers} - 1))::int + 1 AS l_supplier,
         (random() * 49)::int + 1 AS l_quantity, round((random() * 90000 + 900)::numeric, 2) AS l_price, round((random() * 0.1)::numeric, 2) AS l_discount,
         o_date + (random() * 120)::int AS l_shipped, (ARRAY['A', 'N', 'R'])[(random() * 2)::int + 1] AS l_flag
  FROM orders, generate_series(1, 4);
ALTER TABLE supplier ADD PRIMARY KEY (s_key);
ALTER TABLE customer ADD PRIMARY KEY (c_key);
ALTER TABLE part ADD PRIMARY KEY (p_key);
ALTER TABLE orders ADD PRIMARY KEY (o_key);
CREATE INDEX ON line (l_order);
CREATE INDEX ON line (l_part);
CREATE INDEX ON orders (o_customer);
CREATE INDEX ON orders (o_date);
VACUUM ANALYZE;
"""

QUESTIONS = [
    """SELECT l_flag, sum(l_quantity), sum(l_price), sum(l_price * (1 - l_discount)), avg(l_discount), count(*)
       FROM line WHERE l_shipped <= DATE '2024-06-01' GROUP BY l_flag ORDER BY l_flag""",
    """SELECT o_key, o_date, sum(l_price * (1 - l_discount)) AS revenue
       FROM customer JOIN orders ON o_customer = c_key JOIN line ON l_order = o_key
       WHERE c_segment = 'SEGMENT 2' AND o_date < DATE '2021-03-15' AND l_shipped > DATE '2021-03-15'
       GROUP BY o_key, o_date ORDER BY revenue DESC LIMIT 10""",
    """SELECT n_name, sum(l_price * (1 - l_discount)) AS revenue
       FROM customer JOIN orders ON o_customer = c_key JOIN line ON l_order = o_key JOIN supplier ON l_supplier = s_key AND s_nation = c_nation
       JOIN nation ON s_nation = n_key JOIN region ON n_region = r_key
       WHERE r_name = 'REGION 3' AND o_date >= DATE '2020-01-01' AND o_date < DATE '2022-01-01' GROUP BY n_name ORDER BY revenue DESC""",
    """SELECT sum(l_price * l_discount) FROM line
       WHERE l_shipped >= DATE '2020-01-01' AND l_shipped < DATE '2021-01-01' AND l_discount BETWEEN 0.05 AND 0.07 AND l_quantity < 24""",
    """SELECT o_priority, count(*) FROM orders
       WHERE o_date >= DATE '2019-07-01' AND o_date < DATE '2021-07-01' AND EXISTS (SELECT 1 FROM line WHERE l_order = o_key AND l_shipped > o_date + 60)
       GROUP BY o_priority ORDER BY o_priority""",
    """SELECT c_key, o_key, sum(l_quantity) AS quantity FROM customer JOIN orders ON o_customer = c_key JOIN line ON l_order = o_key
       WHERE o_key IN (SELECT l_order FROM line GROUP BY l_order HAVING sum(l_quantity) > 160) GROUP BY c_key, o_key ORDER BY quantity DESC LIMIT 100""",
]


def program(name: str) -> str:
    """Path of a PostgreSQL program: in PATH, or where distributions keep it."""
    found = shutil.which(name) or next(iter(sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"), reverse=True)), None)
    if found is None:
        sys.exit(f"{name} was not found: install the distribution's postgresql package")
    return found


def as_owner(folder: Path) -> dict:
    """How to start a process as the folder's owner: the server refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    owner = pwd.getpwuid(folder.stat().st_uid)
    return {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}


def call(folder: Path, *argv: str, text: str | None = None) -> str:
    done = subprocess.run(argv, input=text, capture_output=True, text=True, cwd=folder, **as_owner(folder))
    if done.returncode != 0:
        sys.exit(f"{Path(argv[0]).name} failed: {(done.stderr or done.stdout).strip()[-500:]}")
    return done.stdout


def psql(folder: Path, text: str) -> str:
    return call(folder, program("psql"), "-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", "-h", str(folder), "-U", "bench", "-d", "postgres", text=text)


def server(folder: Path, action: str) -> None:
    options = f"-c listen_addresses='' -c unix_socket_directories='{folder}'"
    log = str(folder / "server.log")
    call(folder, program("pg_ctl"), "-D", str(folder / "data"), "-w", "-t", "60", "-l", log, "-o", options, *action.split())


def prepare(folder: Path, scale: float) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        names = [entry.pw_name for entry in pwd.getpwall()]
        owner = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    call(folder, program("initdb"), "-D", str(folder / "data"), "-U", "bench", "-A", "trust", "-E", "UTF8", "--locale=C")
    with (folder / "data" / "postgresql.conf").open("a") as conf:
        conf.write("include_if_exists 'tuned.conf'\n")
    server(folder, "start")
    sizes = {"suppliers": 1_000, "customers": 15_000, "parts": 20_000, "orders": 150_000}
    psql(folder, SCHEMA.format(**{name: max(10, int(size * scale)) for name, size in sizes.items()}))
    server(folder, "stop -m fast")


def settings() -> dict[str, str]:
    """The trial's parameters as lines of a configuration."""
    found = {}
    for name, value in os.environ.items():
        if name.startswith("ANSATZ_PARAM_"):
            key = name.removeprefix("ANSATZ_PARAM_").lower()
            bare = key.removesuffix("_mb")
            found[bare if bare in UNITS_MB else key] = f"{value}MB" if bare in UNITS_MB else value
    return found


def run(folder: Path) -> None:
    chosen = settings()
    conf = folder / "data" / "tuned.conf"
    conf.write_text("".join(f"{name} = {value}\n" for name, value in chosen.items()))
    server(folder, "restart -m fast")
    try:
        analysed = folder / "analysed"
        target = chosen.get("default_statistics_target", "100")
        if not analysed.exists() or analysed.read_text() != target:
            psql(folder, "ANALYZE;")
            analysed.write_text(target)
        ask(folder)
        print(f"{min(ask(folder) for _ in range(ROUNDS)):.4f}")
    finally:
        server(folder, "stop -m fast")


def ask(folder: Path) -> float:
    """Seconds for the six questions in one session."""
    text = ";\n".join(QUESTIONS) + ";"
    begun = time.perf_counter()
    psql(folder, text)
    return time.perf_counter() - begun


def main() -> None:
    if len(sys.argv) < 3 or sys.argv[1] not in ("prepare", "run", "stop"):
        sys.exit(__doc__)
    folder = Path(sys.argv[2]).resolve()
    if sys.argv[1] == "prepare":
        prepare(folder, float(sys.argv[3]) if len(sys.argv) > 3 else 2.0)
    elif sys.argv[1] == "run":
        run(folder)
    else:
        server(folder, "stop -m fast")


if __name__ == "__main__":
    main()
