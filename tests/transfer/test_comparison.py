"""What a provider computes is compared with what the CPU computes."""

from dataclasses import replace

import numpy as np
import pytest

from styletransfer import cli
from styletransfer.runtime.devices import Device
from styletransfer.transfer.comparison import Difference, compare
from styletransfer.weights.loading import load_network


def network(quick_network):
    name, folder = quick_network
    return load_network(name, folder, print, None)


def test_the_cpu_is_as_the_cpu(quick_network):
    found = compare(network(quick_network), Device(threads=1))
    assert found == {"noise": Difference(0, 0), "content": Difference(0, 0)}


def test_numbers_of_eight_bits_are_too_far_off(quick_network, monkeypatch):
    """As OpenVINO's bfloat16, which is stood in for by weights that are rounded so."""
    from styletransfer.transfer import comparison

    make = comparison.ProblemMaker.make

    def rounded(self, settings, network, given, stage):
        if self._device == Device(threads=1):
            model = type(network.model)()
            model.CopyFrom(network.model)
            for tensor in model.graph.initializer:
                bits = np.frombuffer(tensor.raw_data, np.uint32) + 0x8000 & 0xFFFF0000
                if tensor.data_type == 1:
                    tensor.raw_data = bits.astype(np.uint32).tobytes()
            network = replace(network, model=model)
        return make(self, settings, network, given, stage)

    monkeypatch.setattr(comparison.ProblemMaker, "make", rounded)
    # Which of the two is rounded makes no difference; the index tells them apart.
    found = compare(network(quick_network), replace(Device(threads=1), index=1))
    assert not all(difference.small for difference in found.values())


@pytest.mark.parametrize("difference", [Difference(1e-2, 0), Difference(0, 0.1)])
def test_what_is_not_small(difference):
    assert not difference.small
    assert not replace(difference, gradient=float("nan")).small


def test_the_command(quick_network, capsys, monkeypatch):
    name, folder = quick_network
    arguments = ["models", "check", name, "--models", str(folder), "--threads", "1"]
    assert cli.main([*arguments, "--provider", "CPUExecutionProvider"]) == 0
    assert "googlenet on CPU, near noise: loss off by 0.0e+00" in capsys.readouterr().out
    assert cli.main([*arguments, "--provider", "nonsense"]) == 2
    assert "this build of ONNX Runtime has" in capsys.readouterr().err
    far = {"noise": Difference(1e-6, 1e-5), "content": Difference(0.01, 2.8)}
    monkeypatch.setattr("styletransfer.transfer.comparison.compare", lambda *_: far)
    assert cli.main(arguments) == 1
    printed = capsys.readouterr()
    assert "near content: loss off by 1.0e-02, gradient by 2.8e+00 of its norm" in printed.out
    assert "too far off" in printed.err
