"""What the tests of the differentiator share: small graphs, and ways to run them."""

from collections.abc import Mapping

import numpy as np
import onnx
import onnxruntime
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

from styletransfer.onnxgrad import GraphBuilder, vjp


class LRN(OpRun):
    """Normalisation across channels; onnx's own sums over the batch."""

    def _run(self, x, alpha, beta, bias, size):
        before, after = (size - 1) // 2, size // 2
        squares = np.pad(x**2, [(0, 0), (before, after), (0, 0), (0, 0)])
        total = sum(squares[:, i : i + x.shape[1]] for i in range(size))
        return (x / (bias + alpha / size * total) ** beta,)


class ConvTranspose(OpRun):
    """Transposed convolution of any rank; onnx's own raises where there are groups."""

    def _run(self, x, w, b=None, **attributes):
        assert not attributes["output_shape"]
        rank = x.ndim - 2
        ones, group = [1] * rank, attributes["group"]
        strides = np.array(attributes["strides"] or ones)
        dilations = np.array(attributes["dilations"] or ones)
        margin = attributes["output_padding"] or [0] * rank
        pads = attributes["pads"] or [0] * 2 * rank
        kernel, size = np.array(w.shape[2:]), np.array(x.shape[2:])
        whole = (size - 1) * strides + dilations * (kernel - 1) + 1 + margin
        y = np.zeros((x.shape[0], group, w.shape[1], *whole), x.dtype)
        grouped = x.reshape(x.shape[0], group, -1, *x.shape[2:])
        weights = w.reshape(group, -1, *w.shape[1:])
        for tap in np.ndindex(*kernel):
            first = dilations * tap
            box = tuple(map(slice, first, first + (size - 1) * strides + 1, strides))
            y[(..., *box)] += np.einsum("ngc...,gco->ngo...", grouped, weights[(..., *tap)])
        y = y.reshape(x.shape[0], -1, *whole)
        inner = tuple(
            slice(p, n - q) for p, q, n in zip(pads[:rank], pads[rank:], whole, strict=True)
        )
        y = y[(..., *inner)]
        return (y if b is None else y + b.reshape(-1, *ones),)


def node_model(
    op_type: str,
    inputs: Mapping[str, np.ndarray],
    constants: Mapping[str, np.ndarray] | None = None,
    outputs: int = 1,
    **attributes: object,
) -> onnx.ModelProto:
    """Return the model of one node: `inputs` first, then `constants`; outputs y0, y1, …"""
    builder = GraphBuilder()
    names = [builder.input(name, array.shape, array.dtype) for name, array in inputs.items()]
    for name, array in (constants or {}).items():
        names.append(builder.constant(array, name) if array is not None else "")
    if outputs == 1:
        made = (builder.op(op_type, *names, **attributes),)
    else:
        made = builder.ops(op_type, *names, outputs=outputs, **attributes)
    return builder.model([builder.op("Identity", y, output=f"y{i}") for i, y in enumerate(made)])


def evaluate(model: onnx.ModelProto, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Run a model in float64 on onnx's reference implementation."""
    names = [output.name for output in model.graph.output]
    evaluator = ReferenceEvaluator(model, new_ops=[LRN, ConvTranspose])
    return dict(zip(names, evaluator.run(None, dict(feeds)), strict=True))


def run(model: onnx.ModelProto, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Run a model on ONNX Runtime's CPU provider."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in model.graph.output]
    return dict(zip(names, session.run(None, dict(feeds)), strict=True))


def directional(model, feeds, direction, cotangents, evaluator, step) -> float:
    """Return ⟨cotangents, derivative of the outputs along `direction`⟩ by central differences."""

    def outputs(t: float) -> dict[str, np.ndarray]:
        return evaluator(model, {k: v + t * direction[k] for k, v in feeds.items()})

    ahead, behind = outputs(step), outputs(-step)
    return sum(
        float(np.vdot(c.astype(np.float64), (ahead[k].astype(float) - behind[k]) / (2 * step)))
        for k, c in cotangents.items()
    )


def check_vjp(model, feeds, evaluator=evaluate, step=1e-6, tolerance=1e-7, seed=0) -> None:
    """Assert that ⟨c, J v⟩ by differences equals ⟨Jᵀ c, v⟩ by `vjp`, for random c and v."""
    rng = np.random.default_rng(seed)
    outputs = evaluator(model, feeds)
    cotangents = {k: rng.standard_normal(y.shape).astype(y.dtype) for k, y in outputs.items()}
    direction = {k: rng.standard_normal(x.shape).astype(x.dtype) for k, x in feeds.items()}
    pulled = evaluator(
        vjp(model, list(outputs), list(feeds)),
        {**feeds, **{f"cotangent/{k}": c for k, c in cotangents.items()}},
    )
    backward = sum(float(np.vdot(pulled[f"gradient/{k}"], v)) for k, v in direction.items())
    forward = directional(model, feeds, direction, cotangents, evaluator, step)
    scale = sum(
        np.linalg.norm(pulled[f"gradient/{k}"]) * np.linalg.norm(v) for k, v in direction.items()
    )
    assert abs(forward - backward) <= tolerance * scale, (forward, backward)
