"""200 requests from 20 clients, a queue of 10: ``python -m benchmarks.service``."""

import collections
import concurrent.futures
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parent.parent
REQUESTS, CLIENTS = 200, 20
CAT = (ROOT / "images" / "content" / "cat.jpg").read_bytes()


def main() -> None:
    """Start a server, load it, and print what it answered and the memory that it takes."""
    command = [sys.executable, "-m", "styletransfer", "serve", "--port", "0", "--no-page"]
    with tempfile.TemporaryDirectory() as state:
        command += ["--state", state, "--rate", "100000"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
            try:
                assert process.stdout is not None
                _load(process.stdout.readline().split()[1], process.pid)
            finally:
                process.terminate()


def _load(address: str, pid: int) -> None:
    with httpx.Client(base_url=address, trust_env=False, timeout=60) as client:
        answers: collections.Counter[int] = collections.Counter()
        taken: list[str] = []

        def ask(number: int) -> None:
            while True:
                data = {"model": "samples", "style": str(number % 28), "length": "128"}
                answer = client.post("/api/stylize", files={"content": CAT}, data=data)
                answers[answer.status_code] += 1
                if answer.status_code == 202:
                    taken.append(answer.json()["job"])
                    return
                assert answer.status_code == 503, answer.text
                assert int(answer.headers["retry-after"]) >= 1
                time.sleep(0.5)  # sooner than it says

        began = time.perf_counter()
        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as clients:
            before = None
            for done, _ in enumerate(clients.map(ask, range(REQUESTS)), 1):
                if done == REQUESTS // 4:
                    before = _memories(pid)
        while any(client.get(job).json()["state"] in ("queued", "running") for job in taken[-20:]):
            time.sleep(0.2)
        states = collections.Counter(client.get(job).json()["state"] for job in taken)
        print(f"answers {dict(answers)}, jobs {dict(states)}, {time.perf_counter() - began:.1f} s")
        after = _memories(pid)
        print(f"server and worker, MiB: {before} after a quarter, {after} at the end")


def _memories(pid: int) -> tuple[int, int]:
    """Return the resident memory of the server, and of the largest process that it has begun."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    begun = [int(child) for task in tasks for child in task.read_text().split()]
    return _memory(pid), max(map(_memory, begun))


def _memory(pid: int) -> int:
    """Return the resident memory of a process, in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) // 1024


if __name__ == "__main__":
    main()
