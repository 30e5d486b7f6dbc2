"""Print pip's constraints for the oldest release of each dependency that setup.cfg admits.

Those of the extras video, web and cluster, too.
"""

import configparser
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def constraints() -> list[str]:
    """Return a line a dependency: ``numpy >=2.2, <3`` becomes ``numpy ==2.2``.

    Without markers: where the small install puts another build of the runtime, the bound holds too.
    """
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    lines = config["options"]["install_requires"].split("\n")
    for extra in ("video", "web", "cluster"):
        lines += (ROOT / f"requirements-{extra}.txt").read_text().split("\n")
    ranges = [line for line in lines if line and not line.startswith("#")]
    return [re.sub(r">=\s*([^\s,;]+).*", r"==\1", line) for line in ranges]


if __name__ == "__main__":
    print("\n".join(constraints()))
