"""Loss and gradient: ours beside PyTorch, alternating in one process; memory in one each.

python -m benchmarks.objective --case vgg19 384 512 --case googlenet 384 512
"""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmarks.common import arguments, machine, problem, seconds
from benchmarks.implementations import implementations

CASES = (
    ("vgg19", "384", "512"),
    ("vgg16", "384", "512"),
    ("googlenet", "384", "512"),
    ("caffenet", "384", "512"),
    ("vgg19", "342", "512"),
    ("vgg19", "224", "336"),
    ("vgg16", "224", "336"),
    ("googlenet", "224", "336"),
    ("caffenet", "227", "340"),
)


def times(case: tuple[str, str, str], rounds: int, options) -> dict[str, np.ndarray]:
    """Return the seconds of each implementation in each round."""
    name, height, width = case
    given = problem(name, int(height), int(width), options.models)
    made = {k: make() for k, make in implementations(given, options.threads).items()}
    results = {k: evaluate(given.content) for k, evaluate in made.items()}
    loss, gradient = results["PyTorch"]
    for other_loss, other in results.values():
        assert abs(other_loss / loss - 1) < 1e-4
        assert np.linalg.norm(other - gradient) < 1e-2 * np.linalg.norm(gradient)
    rows = [[seconds(lambda f=f: f(given.content)) for f in made.values()] for _ in range(rounds)]
    return dict(zip(made, np.array(rows).T, strict=True))


def peak(case: tuple[str, str, str], implementation: str, options) -> int:
    """Return the most memory in MB that a process takes which does nothing but evaluate."""
    command = [sys.executable, "-m", "benchmarks.objective", "--case", *case]
    command += ["--peak-of", implementation, "--threads", str(options.threads)]
    command += ["--models", options.models] if options.models else []
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def report_peak(case: tuple[str, str, str], implementation: str, options) -> None:
    """Evaluate twice, and print the most memory that this process has taken, in MB."""
    name, height, width = case
    given = problem(name, int(height), int(width), options.models)
    evaluate = implementations(given, options.threads)[implementation]()
    for _ in range(2):
        evaluate(given.content)
    # Linux alone tells it so; resource.getrusage would include the parent's before the exec.
    status = Path("/proc/self/status").read_text()
    print(int(re.search(r"VmHWM:\s+(\d+)", status)[1]) // 1024)


def main() -> None:
    """Print a table."""
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--case", nargs=3, action="append", metavar=("NETWORK", "HEIGHT", "WIDTH"))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--peak-of", help="only measure this one's memory")
    parser.add_argument("--no-peak", action="store_true")
    options = parser.parse_args()
    cases = [tuple(case) for case in options.case or CASES]
    if options.peak_of:
        report_peak(cases[0], options.peak_of, options)
        return
    print(machine(options.threads), "\n")
    print(
        "| | PyTorch s | direct s | auto s | direct × | auto × | peak MB: PyTorch, direct, auto |"
    )
    print("|---|---|---|---|---|---|---|")
    for case in cases:
        measured = times(case, options.rounds, options)
        columns = [f"{np.median(t):.3f}" for t in measured.values()]
        for name in ("direct", "auto"):
            columns.append(f"{np.median(measured['PyTorch'] / measured[name]):.2f}")
        if not options.no_peak:
            columns.append(", ".join(str(peak(case, name, options)) for name in measured))
        print(f"| {case[0]} {case[1]}×{case[2]} |", " | ".join(columns), "|", flush=True)


if __name__ == "__main__":
    main()
