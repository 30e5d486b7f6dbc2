"""What the tests of the differentiator share: small graphs, and ways to run them."""

from collections.abc import Mapping

import numpy as np
import onnx
import onnxruntime
from onnx.reference import ReferenceEvaluator

from styletransfer.onnxgrad import GraphBuilder, vjp


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
    return dict(zip(names, ReferenceEvaluator(model).run(None, dict(feeds)), strict=True))


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
