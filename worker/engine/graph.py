"""DistilBERT as an ONNX graph of our own, built from the weights: no torch, no exporter, and nothing computed in vain.

The function is DistilBertForSequenceClassification's; the arithmetic is arranged so that less of it is needed. Each
step is exact, rounding apart:

- **Last layer for [CLS] only.** The classifier reads nothing else of it, so there is one query a row.
- **Its keys and values are never made.** With one query, `q · (K x)` is `(Kᵀ q) · x` and `Σ a (V x)` is `V (Σ a x)`:
  the two projections move from every token to once a row.
- **No key bias**: it adds the same to every score of a query, and softmax does not see that. **No value bias**:
  attention weights sum to 1, so it passes through unchanged and joins the output projection's bias.
- **No bias after the feed-forward.** It is added to the residual one LayerNorm earlier, where it costs nothing, and
  taken out again of the bias that follows that LayerNorm's other reader.
- **No mask**: a batch holds texts of one length, so there is no padding to hide (see `worker.batching`).
- The scale 1/√d is in the query's weights.

Only standard operators: ONNX Runtime fuses transposes with products by itself. With its contrib
operators MultiHeadAttention or SkipLayerNormalization instead, the same batches took some 5 % longer on a CPU.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.model_directory import ModelDirectory, ModelDirectoryError
from worker.engine.weights import Weights

if TYPE_CHECKING:
    import onnx

_OPSET = 20  # the first with Gelu
_IR_VERSION = 10
_LAYER_NORM_EPS = 1e-12  # DistilBERT's


def graph_version() -> str:
    """Names this module's code: a graph cached by another version is not used. 12 hex digits."""
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]


def build_graph(model: ModelDirectory, weights: Weights) -> bytes:
    """The model as a serialized ONNX ModelProto, float32, word embeddings stored in the weights' own precision.

    The input is input_ids, (batch, length) int64, both dimensions free, every row of the same true length; the output
    is logits, (batch, labels) float32.

    Raises:
        ModelDirectoryError: the weights do not fit the config, or the activation is not GELU.
    """
    if model.activation != "gelu":
        raise ModelDirectoryError(
            f"{model.path}: the activation is {model.activation!r}; the engine knows only 'gelu'."
        )
    return _Distilbert(model, weights).build().SerializeToString()


class _Distilbert:
    """Collects the nodes and constants of one graph. Values are passed about by name."""

    def __init__(self, model: ModelDirectory, weights: Weights) -> None:
        from onnx import helper, numpy_helper

        self._helper, self._numpy_helper = helper, numpy_helper
        self._model, self._weights = model, weights
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}

    def build(self) -> onnx.ModelProto:
        model, onnx_type = self._model, self._helper.np_dtype_to_tensor_dtype
        int64, float32 = onnx_type(np.dtype(np.int64)), onnx_type(np.dtype(np.float32))

        x = self._embeddings(float32)
        for layer in range(model.n_layers - 1):
            x = self._layer(layer, x, self._attention(layer, x))
        last = model.n_layers - 1
        cls = self._op("Gather", x, self._ints("first"), axis=1)  # (batch, dim)
        x = self._layer(last, cls, self._cls_attention(last, cls, x))
        x = self._op("Relu", self._linear(x, *self._pair("pre_classifier", model.dim, model.dim)))
        labels = len(model.labels)
        self._linear(x, *self._pair("classifier", labels, model.dim), out="logits")

        value_info = self._helper.make_tensor_value_info
        graph = self._helper.make_graph(
            self._nodes,
            "distilbert",
            [value_info("input_ids", int64, ["batch", "length"])],
            [value_info("logits", float32, ["batch", labels])],
            list(self._constants.values()),
        )
        opset = self._helper.make_opsetid("", _OPSET)
        return self._helper.make_model(graph, opset_imports=[opset], ir_version=_IR_VERSION, producer_name="emobatch")

    # --- the parts of DistilBERT ----------------------------------------------------------------------------------

    def _embeddings(self, float32: int) -> str:
        """(batch, length, dim): word plus position, normalized. Words are looked up first and widened afterwards."""
        model, prefix = self._model, "distilbert.embeddings."
        words = self._weights.tensor(f"{prefix}word_embeddings.weight", (model.vocab_size, model.dim))
        positions = self._tensor(f"{prefix}position_embeddings.weight", model.max_position_embeddings, model.dim)
        x = self._op("Cast", self._op("Gather", self._const("words", words, words.dtype), "input_ids"), to=float32)
        length = self._op("Shape", "input_ids", start=1, end=2)
        zero = self._ints("zero", 0)
        x = self._op("Add", x, self._op("Slice", self._const("positions", positions), zero, length, zero))
        return self._layer_norm(x, f"{prefix}LayerNorm")

    def _attention(self, layer: int, x: str) -> str:
        """(batch, length, dim): what the heads gather, side by side; the output projection comes after."""
        wq, bq, wk, wv = self._queries_keys_values(layer)
        q = self._heads(self._linear(x, wq, bq), 0, 2, 1, 3)
        k = self._heads(self._linear(x, wk), 0, 2, 3, 1)
        v = self._heads(self._linear(x, wv), 0, 2, 1, 3)
        weights = self._op("Softmax", self._op("MatMul", q, k), axis=-1)
        gathered = self._op("Transpose", self._op("MatMul", weights, v), perm=[0, 2, 1, 3])
        return self._op("Reshape", gathered, self._ints("merged", 0, 0, self._model.dim))

    def _cls_attention(self, layer: int, cls: str, x: str) -> str:
        """(batch, dim): the same for the one query [CLS], keys and values folded into it (see the module)."""
        heads, dim = self._model.n_heads, self._model.dim
        wq, bq, wk, wv = self._queries_keys_values(layer)
        # (dim, dim) as (heads, size, dim) and (heads, dim, size): one small matrix for each head.
        wk, wv = wk.T.reshape(heads, -1, dim), wv.T.reshape(heads, -1, dim).transpose(0, 2, 1)
        q = self._op("Reshape", self._linear(cls, wq, bq), self._ints("split_row", 0, heads, dim // heads))
        q = self._by_head(self._op("MatMul", self._by_head(q), self._const("cls_keys", wk)))  # (batch, heads, dim)
        scores = self._op("MatMul", q, self._op("Transpose", x, perm=[0, 2, 1]))  # (batch, heads, length)
        weights = self._op("Softmax", scores, axis=-1)
        gathered = self._by_head(self._op("MatMul", weights, x))  # (heads, batch, dim)
        gathered = self._by_head(self._op("MatMul", gathered, self._const("cls_values", wv)))
        return self._op("Reshape", gathered, self._ints("merged_row", 0, dim))

    def _queries_keys_values(self, layer: int) -> tuple[NDArray[Any], ...]:
        """Query weight and bias, both scaled, key weight, value weight; weights are (in, out)."""
        model, prefix = self._model, f"distilbert.transformer.layer.{layer}.attention."
        scale = (model.dim // model.n_heads) ** -0.5
        wq, bq = self._pair(f"{prefix}q_lin", model.dim, model.dim)
        wk, wv = (self._pair(f"{prefix}{name}", model.dim, model.dim)[0] for name in ("k_lin", "v_lin"))
        return wq * scale, bq * scale, wk, wv

    def _layer(self, layer: int, x: str, gathered: str) -> str:
        """The rest of a layer, on tokens or on rows alike: output projection, feed-forward, two residual norms."""
        dim, hidden = self._model.dim, self._model.hidden_dim
        prefix = f"distilbert.transformer.layer.{layer}."
        w_out, b_out = self._pair(f"{prefix}attention.out_lin", dim, dim)
        b_values = self._tensor(f"{prefix}attention.v_lin.bias", dim)
        attended = self._linear(gathered, w_out, b_out + b_values @ w_out)
        w_in, b_in = self._pair(f"{prefix}ffn.lin1", hidden, dim)
        w_back, b_back = self._pair(f"{prefix}ffn.lin2", dim, hidden)
        x = self._layer_norm(self._op("Add", x, attended), f"{prefix}sa_layer_norm", shift=b_back)
        inner = self._op("Gelu", self._linear(x, w_in, b_in - b_back @ w_in))
        outer = self._linear(inner, w_back)
        return self._layer_norm(self._op("Add", x, outer), f"{prefix}output_layer_norm")

    # --- the parts of a graph -------------------------------------------------------------------------------------

    def _heads(self, x: str, *perm: int) -> str:
        """(batch, length, dim) to (batch, length, heads, size), its axes then in the order `perm`."""
        heads = self._model.n_heads
        split = self._op("Reshape", x, self._ints("split", 0, 0, heads, self._model.dim // heads))
        return self._op("Transpose", split, perm=list(perm))

    def _by_head(self, x: str) -> str:
        """The first two axes exchanged, so that a product runs once for each head over all rows."""
        return self._op("Transpose", x, perm=[1, 0, 2])

    def _linear(self, x: str, weight: NDArray[Any], bias: NDArray[Any] | None = None, out: str = "") -> str:
        name = f"linear{len(self._nodes)}"
        if bias is None:
            return self._op("MatMul", x, self._const(f"{name}.weight", weight))
        product = self._op("MatMul", x, self._const(f"{name}.weight", weight))
        return self._op("Add", product, self._const(f"{name}.bias", bias), out=out)

    def _layer_norm(self, x: str, name: str, shift: NDArray[Any] | float = 0.0) -> str:
        """LayerNorm, its result moved by `shift`, (dim,)."""
        scale, bias = (self._tensor(f"{name}.{kind}", self._model.dim) for kind in ("weight", "bias"))
        constants = self._const(f"{name}.scale", scale), self._const(f"{name}.bias", bias + shift)
        return self._op("LayerNormalization", x, *constants, axis=-1, epsilon=_LAYER_NORM_EPS)

    def _tensor(self, name: str, *shape: int) -> NDArray[np.float64]:
        """A tensor of the file, widened to float64: what is folded into it is rounded once, to float32."""
        return self._weights.tensor(name, shape).astype(np.float64)

    def _pair(self, name: str, n_out: int, n_in: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Weight, (in, out), and bias of a linear module."""
        return self._tensor(f"{name}.weight", n_out, n_in).T, self._tensor(f"{name}.bias", n_out)

    def _const(self, name: str, value: ArrayLike, dtype: Any = np.float32) -> str:
        if name not in self._constants:
            self._constants[name] = self._numpy_helper.from_array(np.array(value, dtype=dtype, order="C"), name)
        return name

    def _ints(self, name: str, *values: int) -> str:
        """Whole numbers for a shape, a slice or an axis; none at all is the scalar 0."""
        return self._const(name, values or 0, np.int64)

    def _op(self, kind: str, *inputs: str, out: str = "", **attributes: Any) -> str:
        out = out or f"{kind}{len(self._nodes)}"
        self._nodes.append(self._helper.make_node(kind, inputs, [out], name=out, **attributes))
        return out
