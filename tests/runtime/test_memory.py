"""What is free, where limits are lower than the machine's memory."""

import resource
import sys

import pytest

from styletransfer.runtime import memory

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def files(root, **texts):
    for name, text in texts.items():
        path = root / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


PLAIN = {"proc__meminfo": "MemTotal: 90 kB\nMemAvailable:    2000 kB\n"}


def test_what_is_free(tmp_path):
    assert memory.available(files(tmp_path, **PLAIN)) == 2000 * 1024


def test_a_system_that_tells_nothing(tmp_path):
    assert memory.available(tmp_path) is None
    assert memory.resident(tmp_path) == 0


def test_groups_of_version_2(tmp_path):
    """The group of the process has no limit, the one above it has; cached files are given up."""
    group = "sys__fs__cgroup__outer__memory_dot_"
    texts = {
        "proc__self__cgroup": "0::/outer/inner\n",
        f"{group}max": "900000\n",
        f"{group}current": "500000\n",
        f"{group}stat": "anon 4\ninactive_file 1000\n",
        "sys__fs__cgroup__outer__inner__memory_dot_max": "max\n",
        "sys__fs__cgroup__outer__inner__memory_dot_current": "500\n",
    }
    assert memory.available(files(tmp_path, **PLAIN, **texts)) == 401_000


def test_groups_of_version_1(tmp_path):
    root = files(tmp_path, **PLAIN, proc__self__cgroup="3:cpu,cpuacct:/a\n4:memory:/b\n")
    folder = root / "sys/fs/cgroup/memory"
    folder.mkdir(parents=True)
    (folder / "memory.limit_in_bytes").write_text("700000\n")
    (folder / "memory.usage_in_bytes").write_text("800000\n")
    assert memory.available(root) == 0


@linux
def test_a_limit_of_the_address_space(monkeypatch):
    limits = {resource.RLIMIT_AS: (0, 0)}
    monkeypatch.setattr(resource, "getrlimit", limits.__getitem__)
    assert memory.available() == 0


@linux
def test_this_process():
    assert 10**7 < memory.resident() < 10**11
    assert memory.available() > 0
