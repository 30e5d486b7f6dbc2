"""Graphs made ready to run."""

from collections.abc import Sequence

from styletransfer.onnxgrad import GraphBuilder, apart
from styletransfer.runtime.devices import Device
from styletransfer.runtime.session import Session


def start(graph: GraphBuilder, outputs: Sequence[str], device: Device) -> Session:
    """Return a session that computes outputs of a graph."""
    model, constants = apart(graph, outputs)
    return Session(model.SerializeToString(), device, constants)
