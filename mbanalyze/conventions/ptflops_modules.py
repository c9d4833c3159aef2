"""Rules of ptflops for the modules with formulas of their own."""

from __future__ import annotations

from math import prod

from mbanalyze.conventions.call_rules import first_input, has_bias, in_elements, kernel, number
from mbanalyze.conventions.convention import ConventionError, Rule
from mbanalyze.inputs.typed import Sizes
from mbanalyze.ops.calls import ModuleCall


def _filters(call: ModuleCall) -> int:
    """`k` filters with weights `c/g r s`: k c r s / g."""
    filters = number(call, "out_channels") // number(call, "groups")
    return filters * number(call, "in_channels") * kernel(call)


def _places(sizes: Sizes, call: ModuleCall) -> int:
    """`n` images with `h w` places: n h w."""
    return first_input(call)[0] * prod(sizes[2:])


def _conv(call: ModuleCall) -> int:
    return _filters(call) * _places(call.outputs[0], call)


def _transposed(call: ModuleCall) -> int:
    return _filters(call) * _places(first_input(call), call)


def _conv_bias(call: ModuleCall) -> int:
    return first_input(call)[0] * prod(call.outputs[0][1:]) if has_bias(call) else 0


def _deformed(call: ModuleCall) -> int:
    """20 to interpolate, 4 for the place and 1 for a mask, at each weight `r s` of each place."""
    return (24 + (len(call.inputs) == 3)) * kernel(call) * _places(call.outputs[0], call)


def _norm(call: ModuleCall) -> int:
    return in_elements(call) * (2 if call.settings.get("affine") else 1)


def _upsampled(call: ModuleCall) -> int:
    return prod(call.outputs[0][1:])


class _Sizes:
    """The sizes of a call of `nn.MultiheadAttention`: sequences, and lengths and features of queries, keys, values."""

    def __init__(self, call: ModuleCall) -> None:
        """Read the sizes.

        Raises:
            ConventionError: the call stops ptflops.
        """
        if len(call.inputs) != 3 or len(call.inputs[0]) != 3:
            raise ConventionError(
                "ptflops takes nn.MultiheadAttention only with three batches of sequences, given by position"
            )
        first = bool(call.settings["batch_first"])
        self.batch = call.inputs[0][not first]
        self.q, self.k, self.v = (shape[first] for shape in call.inputs)
        self.q_features, self.k_features, self.v_features = (shape[2] for shape in call.inputs)
        self.heads = number(call, "num_heads")


def _attention(call: ModuleCall) -> int:
    """The projections to queries, keys, values and the output, and the two products of each head."""
    at = _Sizes(call)
    inward = at.q * at.q_features**2 + at.k * at.k_features**2 + at.v * at.v_features**2
    features = at.q_features // at.heads + at.v_features // at.heads
    return at.batch * (inward + at.heads * at.q * at.k * features + at.q * at.v_features**2)


def _softmax(call: ModuleCall) -> int:
    """1 for each query feature, and 1 for each query, key and head."""
    at = _Sizes(call)
    return at.batch * at.q * (at.q_features + at.heads * at.k)


def _attention_bias(call: ModuleCall) -> int:
    """The biases of queries, keys and values if there are any, and always that of the output."""
    at = _Sizes(call)
    inward = (at.q + at.k + at.v) * at.q_features if "in_proj_bias" in call.params else 0
    return at.batch * (inward + at.q * at.v_features)


def _head_products(call: ModuleCall) -> int:
    """Each query of `n l c` by each key, and each weight by each value: 2 n l l d in each head of d features."""
    n, length, _ = first_input(call)
    return 2 * n * length * length * number(call, "num_heads") * number(call, "head_dim")


def _head_softmax(call: ModuleCall) -> int:
    n, length, _ = first_input(call)
    return n * length * number(call, "num_heads") * (number(call, "head_dim") + length)


CONV: Rule[ModuleCall] = Rule("1 for each output element and weight of its filter", _conv)
"""The multiply-accumulates of a convolution; an input without a batch dimension has its channels taken for one."""
CONV_BIAS: Rule[ModuleCall] = Rule("1 for each output element with a bias", _conv_bias, claims=False)
"""The additions of a bias, with the same batch."""
TRANSPOSED: Rule[ModuleCall] = Rule("1 for each input element and weight of its filter", _transposed)
"""The multiply-accumulates of a transposed convolution."""
DEFORMED: Rule[ModuleCall] = Rule("24, or 25 with a mask, for each sampled place", _deformed, claims=False)
"""The interpolation of a deformable convolution."""
NORM: Rule[ModuleCall] = Rule("1 for each input element, 2 if affine", _norm)
"""A normalisation. `nn.LayerNorm` has no setting `affine`."""
UPSAMPLE: Rule[ModuleCall] = Rule("1 for each output element of the first image, by the module", _upsampled)
"""An enlargement."""
ATTENTION: Rule[ModuleCall] = Rule("products of the projections and of the heads", _attention)
"""The products of attention, with the sizes of the inputs for those of the projections."""
ATTENTION_SOFTMAX: Rule[ModuleCall] = Rule("scale of queries, and softmax", _softmax, claims=False)
"""One for each query feature and each score."""
ATTENTION_BIAS: Rule[ModuleCall] = Rule("biases of the projections", _attention_bias, claims=False)
"""One for each output element of the projections."""
HEAD_PRODUCTS: Rule[ModuleCall] = Rule("products of the heads, without linear layers inside", _head_products)
"""The two products of timm's attention."""
HEAD_SOFTMAX: Rule[ModuleCall] = Rule("scale of queries, and softmax", _head_softmax, claims=False)
"""One for each query feature and each score."""
