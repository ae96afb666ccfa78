"""One trial of a PostgreSQL configuration: restart the server with it, answer six analytic questions, print the seconds.

    python3 bench.py prepare FOLDER [SCALE]     make a server and its data (once)
    python3 bench.py run FOLDER                 one measurement; parameters come as ANSATZ_PARAM_<NAME>
    python3 bench.py stop FOLDER                stop the server

Needs the distribution's PostgreSQL package and nothing else. The server listens on a Unix socket inside FOLDER alone and belongs to this
benchmark; a server that runs on the machine is not touched. SCALE 1.0 is about 600,000 order lines; the default, 3.0, makes 240 MB. The six questions have the shape of a
well-known analytic benchmark: months and quarters out of years: a semi-join, joins of three to six tables, shares, top lists.
"""

from __future__ import annotations

import glob
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

UNITS_MB = ("shared_buffers", "work_mem", "effective_cache_size")
ROUNDS = 3  # the questions are asked so often after a warm-up; the fastest round counts

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
CREATE INDEX ON line (l_shipped);
CREATE INDEX ON orders (o_customer);
CREATE INDEX ON orders (o_date);
VACUUM ANALYZE;
"""

QUESTIONS = [
    # What was ordered in three months and shipped late, by priority.
    """SELECT o_priority, count(*) FROM orders WHERE o_date >= DATE '2021-01-01' AND o_date < DATE '2021-04-01'
       AND EXISTS (SELECT 1 FROM line WHERE l_order = o_key AND l_shipped > o_date + 60) GROUP BY o_priority ORDER BY o_priority""",
    # Customers who sent most back in three months.
    """SELECT c_key, c_balance, n_name, sum(l_price * (1 - l_discount)) AS lost
       FROM customer JOIN orders ON o_customer = c_key JOIN line ON l_order = o_key JOIN nation ON c_nation = n_key
       WHERE o_date >= DATE '2020-10-01' AND o_date < DATE '2021-01-01' AND l_flag = 'R'
       GROUP BY c_key, c_balance, n_name ORDER BY lost DESC LIMIT 20""",
    # Share of some brands in what was shipped in a month.
    """SELECT 100.0 * sum(CASE WHEN p_brand IN ('BRAND 3', 'BRAND 4') THEN l_price * (1 - l_discount) ELSE 0 END) / sum(l_price * (1 - l_discount))
       FROM line JOIN part ON l_part = p_key WHERE l_shipped >= DATE '2021-09-01' AND l_shipped < DATE '2021-10-01'""",
    # The suppliers with the largest turnover of three months.
    """WITH turnover AS (SELECT l_supplier, sum(l_price * (1 - l_discount)) AS total FROM line
                         WHERE l_shipped >= DATE '2020-01-01' AND l_shipped < DATE '2020-04-01' GROUP BY l_supplier)
       SELECT s_key, n_name, total FROM supplier JOIN turnover ON s_key = l_supplier JOIN nation ON s_nation = n_key
       WHERE total > 0.9 * (SELECT max(total) FROM turnover) ORDER BY total DESC""",
    # Turnover within one region in a quarter.
    """SELECT n_name, sum(l_price * (1 - l_discount)) AS revenue
       FROM customer JOIN orders ON o_customer = c_key JOIN line ON l_order = o_key JOIN supplier ON l_supplier = s_key AND s_nation = c_nation
       JOIN nation ON s_nation = n_key JOIN region ON n_region = r_key
       WHERE r_name = 'REGION 3' AND o_date >= DATE '2020-01-01' AND o_date < DATE '2020-04-01' GROUP BY n_name ORDER BY revenue DESC""",
    # The largest orders of a segment that are still to be shipped on a day.
    """SELECT o_key, o_date, sum(l_price * (1 - l_discount)) AS revenue
       FROM customer JOIN orders ON o_customer = c_key JOIN line ON l_order = o_key
       WHERE c_segment = 'SEGMENT 2' AND o_date < DATE '2021-03-15' AND o_date > DATE '2020-12-15' AND l_shipped > DATE '2021-03-15'
       GROUP BY o_key, o_date ORDER BY revenue DESC LIMIT 10""",
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
        said = (done.stderr or done.stdout).strip().splitlines()
        worst = [line for line in said if "ERROR" in line or "FATAL" in line] or said[-1:] or ["no word why"]
        sys.exit(f"{Path(argv[0]).name} failed: {worst[0][-500:]}")
    return done.stdout


def psql(folder: Path, text: str) -> str:
    return call(folder, program("psql"), "-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", "-h", str(folder), "-U", "bench", "-d", "postgres", text=text)


def server(folder: Path, action: str) -> None:
    # Memory that processes share is kept in files: /dev/shm may be small, as in containers, or be tidied up by others.
    options = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c dynamic_shared_memory_type=mmap"
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
    # A run that is called off is asked to end by SIGTERM: `finally` is to stop the server then too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    folder = Path(sys.argv[2]).resolve()
    if sys.argv[1] == "prepare":
        prepare(folder, float(sys.argv[3]) if len(sys.argv) > 3 else 3.0)
    elif sys.argv[1] == "run":
        run(folder)
    else:
        server(folder, "stop -m fast")


if __name__ == "__main__":
    main()
