"""Whole commands, from the shell to the picture: style.py beside pastiche, a PyTorch program.

python -m benchmarks.commands --length 512 -n 50
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.common import CONTENT, ROOT, STYLE, arguments, machine


def commands(length: int, iterations: int, models: str | None, folder: str) -> dict[str, list[str]]:
    """Return what is run, by name. Pastiche has one network, vgg19."""
    python, style = sys.executable, str(ROOT / "style.py")
    given = ["-s", str(STYLE), "-c", str(CONTENT), "-l", str(length), "-n", str(iterations)]
    given += ["-g", "-1", "--quiet", *(["--models", models] if models else [])]
    ours = {
        f"style.py -m {network} --optimizer {optimizer}": [
            python, style, *given, "-m", network, "--optimizer", optimizer,
            "-o", f"{folder}/{network}-{optimizer}.jpg",
        ]
        for network in ("vgg19", "googlenet")
        for optimizer in ("lbfgs", "lbfgsb")
    }  # fmt: skip
    theirs = [python, "-m", "pastiche", "--content", str(CONTENT), "--styles", str(STYLE)]
    theirs += ["--size", str(length), "--style-size", str(round(1.2 * length)), "--pooling", "avg"]
    theirs += ["--num-steps", str(iterations), "--no-verbose", "--device", "cpu"]
    return {"style.py --help": [python, style, "--help"], **ours} | {
        "pastiche (vgg19, L-BFGS)": [*theirs, "--output", f"{folder}/pastiche.jpg"]
    }


def run(command: Sequence[str], threads: int) -> tuple[float, int]:
    """Return the seconds that a command takes, and the most memory in MB."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    start = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment
    )
    errors = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{errors}")
    return time.perf_counter() - start, usage.ru_maxrss // 1024


def main() -> None:
    """Print a table."""
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("-l", "--length", type=int, default=512)
    parser.add_argument("-n", "--num-iters", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", nargs="*", help="words that the names contain")
    options = parser.parse_args()
    models = str(Path(options.models).resolve()) if options.models else None
    print(machine(options.threads), "\n")
    print(f"longest side {options.length}, {options.num_iters} iterations\n")
    print("| command | seconds | peak MB |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, command in commands(options.length, options.num_iters, models, folder).items():
            if options.only and not any(word in name for word in options.only):
                continue
            measured = [run(command, options.threads) for _ in range(options.rounds)]
            taken, memory = np.median(measured, axis=0)
            print(f"| {name} | {taken:.2f} | {memory:.0f} |", flush=True)


if __name__ == "__main__":
    main()
