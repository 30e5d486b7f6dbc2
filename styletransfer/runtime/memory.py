"""How much memory this process may still take."""

import sys
from collections.abc import Iterator
from pathlib import Path

PAGE = 4096


def available(root: Path = Path("/")) -> int | None:
    """Return how many bytes are to be had: what is free, of that what limits leave.

    The limits are those of control groups, of both versions, and of the address space
    (``ulimit -v``). None where the system tells nothing of it.

    Parameters
    ----------
    root : Path
        Where the folders ``proc`` and ``sys`` are.
    """
    found = [*_free(root), *_groups(root), *_address_space(root)]
    return max(0, min(found)) if found else None


def resident(root: Path = Path("/")) -> int:
    """Return how many bytes of memory this process takes; 0 where the system does not tell."""
    pages = _text(root / "proc/self/statm").split()
    return int(pages[1]) * PAGE if len(pages) > 1 else 0


def _free(root: Path) -> Iterator[int]:
    for line in _text(root / "proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            yield int(line.split()[1]) * 1024


def _groups(root: Path) -> Iterator[int]:
    """Yield what each control group that this process is in leaves, those above it included."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            base, names = root / "sys/fs/cgroup", ("memory.max", "memory.current")
        elif "memory" in controllers.split(","):
            base = root / "sys/fs/cgroup/memory"
            names = "memory.limit_in_bytes", "memory.usage_in_bytes"
        else:
            continue
        inside = Path(path.lstrip("/"))
        for folder in (inside, *inside.parents):
            limit, used = (_text(base / folder / name).strip() for name in names)
            if limit.isdecimal() and used.isdecimal():
                # What files are cached of it is given up when it is wanted.
                cached = _inactive(_text(base / folder / "memory.stat"))
                yield int(limit) - int(used) + cached


def _inactive(stat: str) -> int:
    rows = [line.split() for line in stat.splitlines()]
    return next((int(row[1]) for row in rows if row[:1] == ["inactive_file"]), 0)


def _address_space(root: Path) -> Iterator[int]:
    if sys.platform == "win32":
        return
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    pages = _text(root / "proc/self/statm").split()
    if soft != resource.RLIM_INFINITY and pages:
        yield soft - int(pages[0]) * PAGE


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, ValueError):
        return ""
