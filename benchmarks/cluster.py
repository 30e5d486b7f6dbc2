"""How pictures on a cluster of this machine gain by a second worker, and what a cluster costs.

OPENBLAS_NUM_THREADS=1 python -m benchmarks.cluster
"""

import logging
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from benchmarks.common import CONTENT, ROOT, STYLE, arguments, machine
from styletransfer import images
from styletransfer.jobs import local
from styletransfer.jobs.cluster import client, pictures
from styletransfer.jobs.cluster.place import Place
from styletransfer.jobs.local import Watch
from styletransfer.jobs.task import Machine, Task
from styletransfer.settings import Settings


def tasks(folder: Path, count: int, length: int, iterations: int) -> list[Task]:
    """Return tasks of pictures of one size, all different."""
    photo = images.load(CONTENT)
    side = min(photo.shape[:2]) - count
    paths = []
    for i in range(count):
        paths.append(folder / f"{i:02}.png")
        images.save(paths[-1], images.resize(photo[i : i + side, i : i + side], (length, length)))
    settings = Settings(
        model="googlenet", n_iter=iterations, length=length, any_size=True, optimizer="lbfgs"
    )
    return [Task(path, (STYLE,), folder / "made" / path.name, settings) for path in paths]


def main() -> None:
    """Print a line of Markdown for each number of workers."""
    parser = arguments(__doc__)
    parser.add_argument("--pictures", type=int, default=24)
    parser.add_argument("--length", type=int, default=224)
    parser.add_argument("--iterations", type=int, default=8)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.set_defaults(threads=1)
    options = parser.parse_args()
    logging.getLogger("styletransfer").setLevel(logging.ERROR)
    own = Machine(-1, options.threads, Path(options.models or ROOT / "models"))
    print(f"{machine(options.threads)}, distributed {version('distributed')}")
    print("| workers | start and networks | pictures | gain |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        asked = tasks(Path(folder), options.pictures, options.length, options.iterations)
        size = sum(path.stat().st_size for path in (asked[0].content, STYLE))
        first = 0.0
        for workers in options.workers:
            begun = time.monotonic()
            with client.connected(Place("", workers, True), own) as cluster:
                # The network is loaded, and its graphs are made, by as many pictures as workers.
                for outcome in pictures.make_all(asked[:workers], cluster, Watch()):
                    assert outcome.error is None
                start = time.monotonic() - begun
                begun = time.monotonic()
                travelling = client.Cluster(cluster._client, Place("tcp://"), own)
                for outcome in pictures.make_all(asked, travelling, Watch()):
                    assert outcome.error is None
                seconds = time.monotonic() - begun
            first = first or seconds
            gain = f"{first / seconds:.2f}"
            print(f"| {workers} | {start:.1f} s | {seconds:.1f} s | {gain} |", flush=True)
        begun = time.monotonic()
        for outcome in local.make_all(asked, own, Watch()):
            assert outcome.error is None
        print(f"| none, in this process | | {time.monotonic() - begun:.1f} s | |")
        print(f"a task sends {size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
