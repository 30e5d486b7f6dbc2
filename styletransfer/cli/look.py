"""``--dry-run``: what pictures will take, before they are made."""

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from styletransfer.cli.messages import say

if TYPE_CHECKING:
    from styletransfer.jobs.task import Machine, Task
    from styletransfer.transfer.forecast import Forecast


def run(tasks: Sequence["Task"], machine: "Machine", options: argparse.Namespace) -> int:
    """Say of each picture what it will take; with ``--json`` a line of JSON each."""
    from styletransfer.jobs.local import Watch, look

    for task, found in look(tasks, machine, Watch(stopped=options.signals.stopped)):
        if options.json:
            say(json.dumps(_facts(task, found)), limit=1_000_000)
            continue
        height, width = found.sizes[-1]
        before = "".join(f"{w} x {h}, " for h, w in found.sizes[:-1])
        say(f"{task.output}: {before}{width} x {height} pixels on {found.device}")
        say(f"content {', '.join(found.content_layers)}; style {', '.join(found.style_layers)}")
        how = "as a whole"
        if found.tile is not None:
            how = f"in {found.tiles} tiles of about {found.tile} pixels a side"
        free = "" if found.free is None else f" of {_gigabytes(found.free)} that may be taken"
        say(f"{how}; about {_gigabytes(found.memory)} of memory{free}")
        say(f"about {_time(found.seconds)} for {found.iterations} iterations")
        if options.signals.stopped():
            return int(options.signals.code)
    return 0


def _facts(task: "Task", found: "Forecast") -> dict[str, object]:
    height, width = found.sizes[-1]
    return {
        "content": str(task.content),
        "styles": [str(path) for path in task.styles],
        "output": str(task.output),
        "width": width,
        "height": height,
        "scales": [[w, h] for h, w in found.sizes],
        "content_layers": list(found.content_layers),
        "style_layers": list(found.style_layers),
        "device": found.device,
        "tile": found.tile,
        "tiles": found.tiles,
        "memory_bytes": found.memory,
        "free_bytes": found.free,
        "iterations": found.iterations,
        "seconds": round(found.seconds, 1),
    }


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def _time(seconds: float) -> str:
    minutes = round(seconds / 60)
    if seconds < 100:
        return f"{seconds:.0f} seconds"
    return f"{minutes} minutes" if minutes < 100 else f"{minutes / 60:.1f} hours"
