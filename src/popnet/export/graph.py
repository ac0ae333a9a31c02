"""A small builder of ONNX graphs: nodes in order, constants stored once, names made up."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import onnx
from onnx import helper, numpy_helper

from popnet.types import Array

OPSET, LOWEST_OPSET, ML_OPSET = 18, 18, 4
"""Default and lowest version of the operators (reductions take their axes as inputs from 18 on), and the version of
`ai.onnx.ml` (the first whose ``LabelEncoder`` takes float64)."""

IR_VERSION = 9
"""Of the file, that of onnx 1.15: the first with these versions of the operators, so that older runtimes read it."""

PREFIX = "popnet/"
"""Of the names of inner tensors: inputs are named as the table's columns."""

Value = str | np.ndarray
"""A tensor by its name, or a constant."""


def f32(value: Any) -> np.ndarray:
    """Return a constant as float32."""
    return np.asarray(value, np.float32)


def f64(value: Any) -> np.ndarray:
    """Return a constant as float64."""
    return np.asarray(value, np.float64)


def i64(value: Any) -> np.ndarray:
    """Return a constant as int64."""
    return np.asarray(value, np.int64)


class Graph:
    """A graph that grows node by node."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._count = 0

    def _name(self, kind: str) -> str:
        self._count += 1
        return f"{PREFIX}{kind}_{self._count}"

    def constant(self, value: np.ndarray) -> str:
        """Return the name of a constant; equal ones are stored once. Text is of type object."""
        value = np.ascontiguousarray(value).reshape(np.shape(value))
        text = value.dtype.kind == "O"
        data = "\0".join(value.reshape(-1).tolist()).encode() if text else value.tobytes()
        key = str(value.dtype), value.shape, data
        if key not in self._constants:
            name = self._constants[key] = self._name("constant")
            self.initializers.append(numpy_helper.from_array(value, name))
        return self._constants[key]

    def op(self, kind: str, *values: Value, domain: str = "", **attributes: Any) -> str:
        """Add a node with one output, and return the output's name.

        Args:
            kind: the operator.
            values: its inputs.
            domain: of the operator, "" for ONNX's own.
            attributes: of the operator; arrays become tensors.
        """
        names = [v if isinstance(v, str) else self.constant(v) for v in values]
        given: dict[str, Any] = {
            k: numpy_helper.from_array(cast("Array", v), k) if isinstance(v, np.ndarray) else v
            for k, v in attributes.items()
        }
        out = self._name(kind)
        self.nodes.append(helper.make_node(kind, names, [out], domain=domain, **given))
        return out

    def cast(self, value: str, dtype: Any) -> str:
        """Return a tensor in another type, of NumPy's."""
        return self.op("Cast", value, to=_type(dtype))

    def gather(self, value: Value, places: Any, axis: int) -> str:
        """Return some parts of a tensor along an axis, at places that are known."""
        return self.op("Gather", value, i64(places), axis=axis)

    def concat(self, values: list[str], axis: int) -> str:
        """Return tensors side by side."""
        return values[0] if len(values) == 1 else self.op("Concat", *values, axis=axis)

    def total(self, values: list[str]) -> str:
        """Return the sum of tensors."""
        out = values[0]
        for value in values[1:]:
            out = self.op("Add", out, value)
        return out

    def add_input(self, name: str, dtype: Any, size: tuple[int, ...] = (1,)) -> str:
        """Declare an input, ``(N, 1)`` or of another size of each row."""
        self.inputs.append(helper.make_tensor_value_info(name, _type(dtype), ["rows", *size]))
        return name

    def add_output(self, name: str, value: str, dtype: Any, columns: int | None = None) -> None:
        """Declare an output, ``(N,)`` or ``(N, columns)``."""
        self.nodes.append(helper.make_node("Identity", [value], [name]))
        shape: list[str | int] = ["rows"] if columns is None else ["rows", columns]
        self.outputs.append(helper.make_tensor_value_info(name, _type(dtype), shape))

    def model(self, opset: int, metadata: dict[str, str]) -> Any:
        """Return the whole as an ONNX model, with texts that describe it."""
        graph = helper.make_graph(
            self.nodes, "popnet", self.inputs, self.outputs, self.initializers
        )
        imports = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
        model = helper.make_model(
            graph, opset_imports=imports, ir_version=IR_VERSION, producer_name="popnet"
        )
        helper.set_model_props(model, metadata)
        return model


def highest_opset() -> int:
    """Return the newest version of the operators that the installed onnx knows."""
    return onnx.defs.onnx_opset_version()


def _type(dtype: Any) -> int:
    dtype = np.dtype(dtype)
    if dtype.kind == "O":
        return onnx.TensorProto.STRING
    return helper.np_dtype_to_tensor_dtype(dtype)


def lookup(g: Graph, value: str, keys: Array, numbers: Array, default: int) -> str:
    """Return the int64 numbers that go with keys, text or float64; the default for what is no key."""
    whole = list(map(int, numbers))
    arrays: dict[str, Any] = {
        "keys_strings": list(keys), "values_int64s": whole, "default_int64": default,
    }  # fmt: skip
    if keys.dtype.kind != "O":
        arrays = {
            "keys_tensor": f64(keys), "values_tensor": i64(whole), "default_tensor": i64([default]),
        }  # fmt: skip
    return g.op("LabelEncoder", value, domain="ai.onnx.ml", **arrays)
