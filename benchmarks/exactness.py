"""How far the gradient in tiles is off that of the whole image, and what of it ReLUs are.

python -m benchmarks.exactness vgg19 300 277 100            # as it is, and with a smooth activation
python -m benchmarks.exactness vgg19 300 277 100 --double   # beside all of it in float64: minutes

Where a number is so near to 0 that it rounds to either side of it, its ReLU lets the gradient
through in one computation and not in the other. With x · sigmoid(x) in place of max(x, 0), which is
the same but for the numbers near 0, there is no such place; in float64 there are hardly any.
"""

import argparse

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

from benchmarks.common import CONTENT, STYLE
from styletransfer import images
from styletransfer.caffe.layers import INPUT
from styletransfer.objective import tiled
from styletransfer.objective.losses import Content, Gram
from styletransfer.objective.statistics import forward, statistics
from styletransfer.objective.tiled import TiledObjective
from styletransfer.objective.tiles import Layout
from styletransfer.objective.whole import WholeObjective, build, winograd_choice
from styletransfer.onnxgrad.rewrites import winograd
from styletransfer.runtime.devices import Device
from styletransfer.runtime.session import Session
from styletransfer.weights.loading import load_network

CPU = Device(threads=1)


def main() -> None:
    """Print the differences."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network")
    for name in ("height", "width", "tile"):
        parser.add_argument(name, type=int)
    parser.add_argument("--models")
    parser.add_argument("--double", action="store_true")
    parser.add_argument("--seeds", type=int, nargs="+", default=range(10), help="of the images")
    options = parser.parse_args()
    network = load_network(options.network, options.models, print, lambda step: None)
    size = options.height, options.width
    content, style = (
        images.preprocess(images.resize(images.load(path), size), network.mean).astype(np.float32)
        for path in (CONTENT, STYLE)
    )
    terms = [Content(layer) for layer in network.content_layers]
    terms += [Gram(layer) for layer in network.style_layers]
    weights = [1.0] * len(network.content_layers) + [1e4] * len(network.style_layers)
    for what, model in (("ReLU", network.model), ("smooth", smooth(network.model))):
        targets = statistics(model, content, terms[: len(network.content_layers)], CPU)
        targets |= statistics(model, style, terms[len(network.content_layers) :], CPU)
        arguments = model, content.shape, terms, CPU
        both = WholeObjective(*arguments), TiledObjective(*arguments, side=options.tile)
        for objective in both:
            objective.bind(targets, weights)
        for seed in options.seeds:
            noise = np.random.default_rng(seed).uniform(-60, 60, content.shape)
            image = (0.7 * content + 0.3 * style + noise).astype(np.float32)
            whole, tiles = (made.evaluate(image).gradient.astype(float) for made in both)
            line = f"{what}, image {seed}: tiles against whole {off(tiles, whole):.1e}"
            if what == "ReLU":
                line += f", {flips(model, terms, image, options.tile)} ReLUs flip"
            if options.double:
                exact = in_double(arguments, options.tile, targets, weights, image)
                line += f"; in float64 {off(exact['tiles'], exact['whole']):.1e}"
                line += f"; float32 against float64: whole {off(whole, exact['whole']):.1e}"
                line += f", tiles {off(tiles, exact['whole']):.1e}"
            print(line, flush=True)


def off(found: np.ndarray, right: np.ndarray) -> float:
    """Return the norm of a difference as a part of the norm of what is right."""
    return float(np.linalg.norm(found - right) / np.linalg.norm(right))


def smooth(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a network with x · sigmoid(x) in the place of each ReLU."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    del result.graph.node[:]
    for node in model.graph.node:
        if node.op_type == "Relu":
            gate = f"{node.output[0]}/gate"
            result.graph.node.append(helper.make_node("Sigmoid", [node.input[0]], [gate], gate))
            name = node.name or node.output[0]
            node = helper.make_node("Mul", [node.input[0], gate], [node.output[0]], name)
        result.graph.node.append(node)
    return result


def flips(model: onnx.ModelProto, terms: list, image: np.ndarray, side: int) -> int:
    """Return how many ReLUs let through in the whole what they do not in their tile, or back."""
    graph = forward(model, image.shape, terms)
    relus = [Content(node.output[0]) for node in graph.nodes if node.op_type == "Relu"]
    layout = Layout.of(model, image.shape, relus, side)
    session = forward_session(model, image.shape, relus)
    whole = session.run({INPUT: image})
    session = forward_session(model, layout.size, relus)
    count = 0
    for tile in layout.grid.tiles:
        found = session.run({INPUT: image[(..., *layout.pixels(tile))]})
        for layer in (relu.layer for relu in relus):
            passed = whole[layer][(..., *layout.own(tile, layer))] > 0
            count += int((passed != (found[layer][(..., *layout.inside(tile, layer))] > 0)).sum())
    return count


def forward_session(model: onnx.ModelProto, shape: tuple[int, ...], terms: list) -> Session:
    """Return what computes layers as the objectives do."""
    graph = forward(model, shape, terms)
    winograd.rewrite(graph, winograd_choice("auto", CPU))
    layers = [term.layer for term in terms]
    return Session(graph.model(layers).SerializeToString(), CPU)


class Conv(OpRun):
    """Convolution as a product of matrices for each place of the kernel."""

    def _run(self, x, w, b=None, **attributes):
        pads, strides = attributes["pads"] or [0] * 4, attributes["strides"] or [1, 1]
        group, (down, across) = attributes["group"], strides
        x = np.pad(x, ((0, 0), (0, 0), (pads[0], pads[2]), (pads[1], pads[3])))
        rows, columns = (
            (n - k) // s + 1 for n, k, s in zip(x.shape[2:], w.shape[2:], strides, strict=True)
        )
        grouped = w.reshape(group, -1, *w.shape[1:])
        y = np.zeros((group, grouped.shape[1], rows * columns), x.dtype)
        for i, j in np.ndindex(*w.shape[2:]):
            part = x[0, :, i : i + down * rows : down, j : j + across * columns : across]
            y += grouped[..., i, j] @ part.reshape(group, w.shape[1], -1)
        y = y.reshape(1, -1, rows, columns)
        return (y if b is None else y + b.reshape(-1, 1, 1),)


class DoubleSession:
    """A `Session` in float64, by ONNX's reference."""

    def __init__(self, model: bytes, device: Device) -> None:
        proto = onnx.ModelProto.FromString(model)
        single, double = onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE
        for value in (*proto.graph.input, *proto.graph.output):
            value.type.tensor_type.elem_type = double
        for tensor in proto.graph.initializer:
            if tensor.data_type == single:
                array = numpy_helper.to_array(tensor).astype(float)
                tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
        self._model = ReferenceEvaluator(proto, new_ops=[Conv])
        self.inputs, self.outputs = (
            [value.name for value in values] for values in (proto.graph.input, proto.graph.output)
        )
        self._bound: dict[str, np.ndarray] = {}

    def bind(self, inputs):
        """Set inputs for all runs."""
        self._bound |= {name: np.asarray(value, float) for name, value in inputs.items()}

    def run(self, inputs):
        """Return the outputs by their names."""
        feeds = self._bound | {name: np.asarray(value, float) for name, value in inputs.items()}
        feeds = {name: feeds[name] for name in self.inputs}
        return dict(zip(self.outputs, self._model.run(None, feeds), strict=True))


def in_double(
    arguments: tuple,
    side: int,
    targets: dict[str, np.ndarray],
    weights: list[float],
    image: np.ndarray,
) -> dict[str, np.ndarray]:
    """Return the gradients of the same models in float64, as a whole and in tiles."""
    whole = DoubleSession(build(*arguments).SerializeToString(), CPU)
    feeds = {f"target/{name}": value for name, value in targets.items()}
    found = whole.run(feeds | {"weights": weights, INPUT: image})
    single = tiled.Session
    tiled.Session = DoubleSession
    try:
        objective = TiledObjective(*arguments, side=side)
        objective.bind(targets, weights)
        tiles = objective.evaluate(image.astype(float))
    finally:
        tiled.Session = single
    return {"whole": found[f"gradient/{INPUT}"], "tiles": tiles.gradient}


if __name__ == "__main__":
    main()
