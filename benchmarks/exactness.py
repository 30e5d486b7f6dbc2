"""How far the gradient in tiles is off that of the whole image, and what of it ReLUs are.

python -m benchmarks.exactness vgg19 300 277 100

Where a number is so near to 0 that it rounds to either side of it, its ReLU lets the gradient
through in one computation and not in the other. With x · sigmoid(x) in place of max(x, 0), which is
the same but for the numbers near 0, there is no such place.
"""

import argparse

import numpy as np
import onnx
from onnx import helper

from benchmarks.common import CONTENT, STYLE
from styletransfer import images
from styletransfer.caffe.layers import INPUT
from styletransfer.objective.losses import Content, Gram
from styletransfer.objective.statistics import forward, statistics
from styletransfer.objective.tiled import TiledObjective
from styletransfer.objective.tiles import Layout
from styletransfer.objective.whole import WholeObjective, winograd_choice
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


if __name__ == "__main__":
    main()
