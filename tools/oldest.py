"""Print pip's constraints for the oldest release of each dependency that setup.cfg admits."""

import configparser
import re
from pathlib import Path

SETUP = Path(__file__).resolve().parent.parent / "setup.cfg"


def constraints() -> list[str]:
    """Return a line a dependency: ``numpy >=2.2, <3`` becomes ``numpy ==2.2``.

    Without markers: where the small install puts another build of the runtime, the bound holds too.
    """
    config = configparser.ConfigParser()
    config.read(SETUP)
    ranges = config["options"]["install_requires"].split("\n")
    return [re.sub(r">=\s*([^\s,;]+).*", r"==\1", line) for line in ranges if line]


if __name__ == "__main__":
    print("\n".join(constraints()))
