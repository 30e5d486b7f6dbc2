"""Each rule against differences of the operator itself."""

import numpy as np
import pytest

from tests.onnxgrad.graphs import check_vjp, node_model

I64 = np.int64


def normal(*shape: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def positive(*shape: int, seed: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.5, 2, shape)


X = normal(2, 4, 7, 6)
# name: (operator, differentiated inputs, constant inputs, attributes)
CASES = {
    "identity": ("Identity", [X], [], {}),
    "neg": ("Neg", [X], [], {}),
    "relu": ("Relu", [X], [], {}),
    "abs": ("Abs", [X], [], {}),
    "sqrt": ("Sqrt", [positive(3, 4)], [], {}),
    "exp": ("Exp", [normal(3, 4)], [], {}),
    "log": ("Log", [positive(3, 4)], [], {}),
    "add": ("Add", [normal(3, 4), normal(3, 4, seed=5)], [], {}),
    "add broadcast": ("Add", [normal(2, 3, 4), normal(3, 1)], [], {}),
    "sum": ("Sum", [normal(3, 4), normal(4), normal(1, 1)], [], {}),
    "sub broadcast": ("Sub", [normal(4), normal(3, 1, 4)], [], {}),
    "mul broadcast": ("Mul", [normal(3, 1), normal(2, 1, 4)], [], {}),
    "mul scalar": ("Mul", [normal(), normal(2, 3)], [], {}),
    "div broadcast": ("Div", [normal(3, 4), positive(4)], [], {}),
    "sum all": ("ReduceSum", [normal(2, 3, 4)], [], {"keepdims": 0}),
    "sum kept": ("ReduceSum", [normal(2, 3, 4)], [np.array([-1, 0])], {}),
    "sum dropped": ("ReduceSum", [normal(2, 3, 4)], [np.array([1])], {"keepdims": 0}),
    "sum none": ("ReduceSum", [normal(2, 3)], [], {"noop_with_empty_axes": 1}),
    "sum square": ("ReduceSumSquare", [normal(2, 3, 4)], [], {"keepdims": 0}),
    "sum square axis": ("ReduceSumSquare", [normal(2, 3, 4)], [np.array([1])], {}),
    "matmul": ("MatMul", [normal(3, 4), normal(4, 5)], [], {}),
    "matmul batch": ("MatMul", [normal(2, 1, 3, 4), normal(5, 4, 2)], [], {}),
    "gemm": ("Gemm", [normal(3, 4), normal(4, 5), normal(5)], [], {"alpha": 2.0, "beta": 3.0}),
    "gemm tt": ("Gemm", [normal(4, 3), normal(5, 4)], [], {"transA": 1, "transB": 1}),
    "gemm nt": ("Gemm", [normal(3, 4), normal(5, 4)], [], {"transB": 1, "alpha": 0.5}),
    "gemm tn": ("Gemm", [normal(4, 3), normal(4, 5), normal(3, 1)], [], {"transA": 1}),
    "reshape": ("Reshape", [normal(2, 3, 4)], [np.array([0, -1])], {}),
    "flatten": ("Flatten", [normal(2, 3, 4)], [], {"axis": 2}),
    "squeeze": ("Squeeze", [normal(2, 1, 4)], [np.array([1])], {}),
    "unsqueeze": ("Unsqueeze", [normal(2, 4)], [np.array([0, 3])], {}),
    "transpose": ("Transpose", [normal(2, 3, 4)], [], {"perm": [1, 2, 0]}),
    "transpose default": ("Transpose", [normal(2, 3, 4)], [], {}),
    "concat": ("Concat", [normal(2, 1, 3), normal(2, 4, 3), normal(2, 2, 3)], [], {"axis": 1}),
    "concat one": ("Concat", [normal(2, 3)], [], {"axis": 0}),
    "concat part": ("Concat", [normal(2, 3)], [normal(2, 2)], {"axis": -1}),
}


@pytest.mark.parametrize("case", CASES)
def test_vector_jacobian_product(case):
    op_type, inputs, constants, attributes = CASES[case]
    feeds = {f"x{i}": x for i, x in enumerate(inputs)}
    held = {f"c{i}": c for i, c in enumerate(constants)}
    check_vjp(node_model(op_type, feeds, held, **attributes), feeds)
