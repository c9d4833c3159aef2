"""The parts of random modules, as templates of source code.

A template has holes: `x` is the tensor that the part takes, `y` one of the same shape, `m` an attribute of the module,
`out` the result. `grammar.HOLES` lists the others.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

OLDER = frozenset() if hasattr(torch.ops.aten, "linalg__powsum") else frozenset({"one_hot real"})
"""Names of `EXCLUDED` for releases of PyTorch before 2.10, which run other operators on values."""

EXCLUDED = OLDER | {
    "attention real",
    "channel_shuffle real",
    "fill real",
    "linear algebra",
    "max_pool1d real",
}
"""The names of parts that are left out, because the count of a module with them breaks a promise.

They are left out everywhere, in one mode ("train"), or when a module runs on values ("real").
"""


class Part(NamedTuple):
    """A part of a module.

    Attributes:
        ranks: the numbers of dimensions of the tensors that it takes; "i" stands for a tensor of integers.
        init: what the attribute `m` is, or a statement that builds it; "" if the part needs none.
        code: an expression for the result, or statements that assign it.
        name: the name of the part in `EXCLUDED`.
        batchwise: True if it works on each sample of a batch alone.
        unused: True if the forward does not read the parameters of `m`.
        least: the smallest size that every dimension has to have.
    """

    ranks: str
    init: str
    code: str = "{m}({x})"
    name: str = ""
    batchwise: bool = True
    unused: bool = False
    least: int = 1

    def fits(self, tensor: Tensor) -> bool:
        """Return True if the part takes `tensor`."""
        if min(tensor.shape, default=1) < self.least:
            return False
        if not tensor.is_floating_point():
            return self.ranks == "i" and "int64" in str(tensor.dtype)
        return str(tensor.dim()) in self.ranks

    @property
    def statements(self) -> str:
        """The template of the statements of the forward."""
        return self.code if "{out}" in self.code else f"{{out}} = {self.code}"

    @property
    def init_statements(self) -> str:
        """The template of the statements that build `m`."""
        return (
            self.init
            if not self.init or "{m}" in self.init or "self." in self.init
            else f"{{m}} = {self.init}"
        )


def _code(ranks: str, *codes: str, name: str = "", batchwise: bool = True, least: int = 1) -> list[Part]:
    return [Part(ranks, "", code, name, batchwise, least=least) for code in codes]


def _layers(ranks: str, *inits: str, name: str = "", batchwise: bool = True) -> list[Part]:
    return [Part(ranks, init, name=name, batchwise=batchwise) for init in inits]


POINTWISE = [
    *_code("12345", "torch.{unary}({x}).float()", "torch.{binary}({x}, {y})", "{x} + {y}", "{x} * 2", "1.5 - {x}"),
    *_code("12345", "{x}.clamp(0, 6)", "{x}.clamp(min=0.5)", "({x} {compare} 0.5).float()", "torch.add({x}, {y}, alpha=2)"),
    *_code("12345", "torch.where({x} > 0.5, {x}, {y})", "{x}.masked_fill({x} > 0.5, 0.0)", "torch.lerp({x}, {y}, 0.5)"),
    *_code("12345", "torch.addcmul({x}, {x}, {y}, value=2)", "torch.addcdiv({x}, {x}, {y} + 1)", "{x} // 2", "{x} % 2"),
    *_code("12345", "F.dropout({x}, 0.5, self.training)", "F.dropout({x}, 0.5)", "F.leaky_relu({x}, 0.1)", "{x} ** 2"),
    *_code("12345", "F.hardtanh({x}, 0, 6)", "F.threshold({x}, 0.5, 0.0)", "F.rrelu({x}, training=self.training)"),
    *_code("12345", "torch.nan_to_num({x})", "F.gelu({x}, approximate='tanh')", "({x} > 0.5).logical_not().float()"),
    *_code("12345", "{x} * torch.rand_like({x})", "torch.bernoulli({x}.clamp(0, 1))", "torch.empty_like({x}).normal_()"),
    *_code("2345", "{x} + torch.zeros({last})", "{x} * torch.arange({last})", "{x} + torch.ones_like({x})", batchwise=False),
    *_layers("12345", "nn.{activation}()", "nn.PReLU()", "nn.Dropout(0.5)", "nn.Identity()", "nn.RReLU()"),
    *_layers("2345", "nn.PReLU({c})", "nn.AlphaDropout(0.2)", "nn.Softmax({d})", "nn.LogSoftmax({d})", "nn.GLU({d})"),
    *_layers("4", "nn.Dropout2d(0.5)", "nn.Softmax2d()"),
]  # fmt: skip

PRODUCTS = [
    *_layers("3", "nn.Conv1d({c}, {groups} * {k}, {kernel}, {stride}, {pad}, {dilation}, {groups}, {flag})"),
    *_layers("4", "nn.Conv2d({c}, {groups} * {k}, {kernel}, {stride}, {pad}, {dilation}, {groups}, {flag})"),
    *_layers("4", "nn.Conv2d({c}, {c} * {k}, ({kernel}, {s}), groups={c})", "nn.Conv2d({c}, {k}, 1)"),
    *_layers("4", "nn.Conv2d({c}, {k}, {kernel}, padding='same')", "nn.Conv2d({c}, {k}, 3, padding='valid')"),
    *_layers("4", "nn.Conv2d({c}, {k}, {kernel}, 1, {pad}, padding_mode={padding_mode!r})"),
    *_layers("5", "nn.Conv3d({c}, {groups} * {k}, {kernel}, {stride}, {pad}, {dilation}, {groups}, {flag})"),
    *_layers("3", "nn.ConvTranspose1d({c}, {groups} * {k}, {kernel}, {stride}, {pad}, 0, {groups}, {flag}, {dilation})"),
    *_layers("4", "nn.ConvTranspose2d({c}, {groups} * {k}, {kernel}, {stride}, {pad}, 0, {groups}, {flag}, {dilation})"),
    *_layers("5", "nn.ConvTranspose3d({c}, {groups} * {k}, {kernel}, {stride}, {pad}, 0, {groups}, {flag})"),
    *_layers("4", "nn.ConvTranspose2d({c}, {k}, 3, 2, output_padding=1)"),
    *_layers("2345", "nn.Linear({last}, {k}, {flag})"),
    *_layers("1", "nn.Linear({last}, {k})", batchwise=False),
    Part("2345", "nn.Bilinear({last}, {last}, {k}, {flag})", "{m}({x}, {y})"),
    Part("2345", "nn.Linear({last}, {k})", "F.linear({x}, {m}.weight, {m}.bias)"),
    Part("2345", "nn.Parameter(torch.rand({last}, {k}))", "{x} @ {m}"),
    Part("2345", "nn.Parameter(torch.rand({last}))", "{x} @ {m}"),
    Part("2345", "nn.Parameter(torch.rand({k}, {last}))", "F.linear({x}, {m})"),
    Part("2345", "nn.Parameter(torch.rand({last}, {k}))", "torch.einsum('...i,ij->...j', {x}, {m})", least=2),
    Part("3", "nn.Parameter(torch.rand({next}, {k}))", "torch.einsum('bni,nk->bki', {x}, {m})", least=2),
    Part("4", "nn.Parameter(torch.rand({k}, {c}, 1, 1))", "F.conv2d({x}, {m})"),
    Part("2", "nn.Parameter(torch.rand({k}, {last}))", "torch.addmm({x}.new_zeros({k}), {x}, {m}.t())", batchwise=False),
    Part("1", "nn.Parameter(torch.rand({last}))", "torch.dot({x}, {m})[None]", batchwise=False),
    Part("1", "nn.Parameter(torch.rand({k}, {last}))", "torch.addmv({m}[:, 0], {m}, {x})", batchwise=False),
    Part("2", "nn.Parameter(torch.rand({last}))", "torch.mv({x}, {m})"),
    Part("2345", "nn.Parameter(torch.rand({last}, 2))", "torch.tensordot({x}, {m}, dims=1)"),
    *_code("345", "{x} @ {y}.transpose(-1, -2)", "torch.matmul({x}.mT, {y})"),
    *_code("3", "torch.bmm({x}, {y}.transpose(1, 2))", "torch.baddbmm({x} @ {y}.mT, {x}, {y}.mT, beta=0.5, alpha=2)"),
    *_code("3", "torch.einsum('bij,bkj->bik', {x}, {y})", "torch.einsum('bij,bij->bi', {x}, {y})", least=2),
    *_code("3", "torch.einsum('bij,bij->bij', {x}, {y})", "torch.einsum('bij->bji', {x})", "torch.einsum('bij->b', {x})"),
    *_code("3", "torch.einsum('bij,bkj,bkl->bil', {x}, {y}, {x})", least=2),
    *_code("2", "torch.einsum('bi,bj->bij', {x}, {y})", "{x}[:, :, None] @ {y}[:, None]", "F.cosine_similarity({x}, {y})[:, None]"),
    *_code("2", "{x} @ {y}.t()", "torch.mm({x}.t(), {y})", "torch.inner({x}, {y})", batchwise=False),
    *_code("34", "F.scaled_dot_product_attention({x}, {y}, {x})", "F.scaled_dot_product_attention({x}, {x}, {y}, is_causal=True)", name="attention"),
    Part("3", "nn.MultiheadAttention({last}, {heads}, batch_first=True)", "{m}({x}, {y}, {y}, need_weights={flag})[0]", "attention"),
    Part("3", "nn.MultiheadAttention({last}, {heads})", "{m}({x}, {x}, {x})[0]", "attention", batchwise=False),
    *_layers("3", "nn.TransformerEncoderLayer({last}, {heads}, {k}, batch_first=True, norm_first={flag})", name="attention"),
    Part("3", "nn.TransformerDecoderLayer({last}, {heads}, {k}, batch_first=True)", "{m}({x}, {y})", "attention"),
    Part("2", "nn.LSTMCell({last}, {k}, {flag})", "{m}({x})[0]"),
    Part("2", "nn.GRUCell({last}, {k}, {flag})"),
    Part("2", "nn.RNNCell({last}, {k}, {flag}, 'relu')"),
    Part("3", "nn.{rnn}({last}, {k}, {layers}, bidirectional={flag}, bias={other})", "{m}({x})[0]", batchwise=False),
    Part("3", "nn.{rnn}({last}, {k}, {layers}, batch_first=True)", "{m}({x})[0]", "batch_first"),
    Part("3", "nn.GRU({last}, {k}, batch_first=True)", "{m}({x})[1][0]", "batch_first"),
    Part("3", "nn.LSTM({last}, 4, proj_size=2)", "{m}({x})[0]", batchwise=False),
]  # fmt: skip

NORMS = [
    *_layers("23", "nn.BatchNorm1d({c}, affine={flag}, track_running_stats={other})", name="batch_norm"),
    *_layers("4", "nn.BatchNorm2d({c}, affine={flag}, track_running_stats={other})", name="batch_norm"),
    *_layers("5", "nn.BatchNorm3d({c}, momentum=None)", name="batch_norm"),
    *_layers("3", "nn.InstanceNorm1d({c}, affine={flag}, track_running_stats={other})", name="batch_norm"),
    *_layers("4", "nn.InstanceNorm2d({c}, affine={flag}, track_running_stats={other})", name="batch_norm"),
    *_layers("2345", "nn.GroupNorm({groups}, {c}, affine={flag})", "nn.LayerNorm({last}, bias={flag})", "nn.RMSNorm({last})"),
    *_layers("345", "nn.LayerNorm(({next}, {last}), elementwise_affine={flag})", "nn.LocalResponseNorm(2)"),
    *_code("2345", "F.layer_norm({x}, ({last},))", "F.normalize({x}, dim={d})"),
]  # fmt: skip

WINDOWS = [
    *_layers("3", "nn.MaxPool1d({kernel}, {stride})", name="max_pool1d"),
    Part("3", "nn.MaxPool1d({kernel}, {stride})", "{m}({x}.transpose(1, 2))", "max_pool1d"),
    *_layers("3", "nn.AvgPool1d({kernel})", "nn.AdaptiveAvgPool1d({s})", "nn.LPPool1d(2, {kernel})"),
    *_layers("4", "nn.MaxPool2d({kernel}, {stride}, ceil_mode={flag})", "nn.AvgPool2d({kernel}, {stride}, ceil_mode={flag})"),
    *_layers("4", "nn.MaxPool2d(3, {stride}, {pad}, {dilation})", "nn.AvgPool2d(3, {stride}, {pad}, count_include_pad={flag})"),
    *_layers("4", "nn.AdaptiveAvgPool2d({s})", "nn.AdaptiveAvgPool2d((None, {s}))", "nn.AdaptiveMaxPool2d({s})", "nn.LPPool2d(2, {kernel})"),
    *_layers("4", "nn.FractionalMaxPool2d(2, output_ratio=0.5)", "nn.Unfold({kernel}, {dilation}, {pad}, {stride})"),
    *_layers("4", "nn.PixelShuffle(2)", "nn.PixelUnshuffle(2)", "nn.ZeroPad2d({pad})", "nn.ReflectionPad2d(1)"),
    *_layers("4", "nn.ChannelShuffle({groups})", name="channel_shuffle"),
    *_layers("5", "nn.MaxPool3d({kernel}, {stride})", "nn.AvgPool3d({kernel})", "nn.AdaptiveAvgPool3d({s})", "nn.AdaptiveMaxPool3d({s})"),
    *_code("4", "F.interpolate({x}, scale_factor=2, mode={interpolation!r})", "F.interpolate({x}, size=({s}, {k}), mode={interpolation!r})"),
    *_code("4", "F.interpolate({x}, size=({s}, {k}), mode='bilinear', antialias=True)"),
    *_code("4", "F.interpolate({x}, scale_factor=0.5, mode='bilinear', antialias=True)", name="antialias by factor"),
    *_code("3", "F.interpolate({x}, scale_factor=2, mode='linear')", "F.pad({x}, (1, 1), {pad_mode!r})", "F.fold({x}, ({s}, 3), 1)"),
    *_code("4", "F.pad({x}, (1, 0, 0, 1), {pad_mode!r})", "F.max_pool2d({x}, 2, return_indices=True)[0]"),
    *_code("345", "F.pad({x}, (1, 2), value=0.5)", "F.pad({x}, (0, -1))"),
    *_code("4", "F.grid_sample({x}, {x}.permute(0, 2, 3, 1)[..., :2], align_corners=False)"),
]  # fmt: skip

REDUCTIONS = [
    *_code("2345", "{x}.{reduce}(dim={d}).float()", "{x}.{reduce}(dim={d}, keepdim=True).float()", "{x}.{scan}({d}).float()"),
    *_code("2345", "{x}.sort({d})[0]", "{x}.topk(1, {d})[0]", "{x}.max({d})[0]", "{x}.median({d})[0]", "torch.std_mean({x}, {d})[0]"),
    *_code("345", "{x}.mean(({d}, 1), keepdim=True)", "{x}.sum((-1, -2))", "torch.linalg.vector_norm({x}, dim={d})", "{x}.norm(dim={d})"),
    *_code("4", "{x}.mean((2, 3))", "{x}.amax((-2, -1), keepdim=True)"),
    *_code("2345", "{x}.sum()[None]", "{x}.mean(0)", "{x}.max()[None]", "{x}.norm()[None]", "{x}.std(0, correction=0)", batchwise=False),
]  # fmt: skip

MOVES = [
    *_code("2345", "torch.cat([{x}, {y}], {d})", "torch.stack([{x}, {y}], {d})", "torch.cat([{x}, {y}, {x} + {y}], -1)"),
    *_code("2345", "{x}.split({s}, {d})[0]", "{x}.chunk(2, {d})[-1]", "{x}.unbind({d})[-1]", "torch.tensor_split({x}, 2, {d})[0]"),
    *_code("2345", "{x}.transpose({d}, 1)", "{x}.flatten(1)", "{x}.reshape({x}.shape[0], -1)", "{x}.unsqueeze({d})", "{x}.squeeze({d})"),
    *_code("2345", "{x}[:, 1:]", "{x}[..., ::2]", "{x}[:, 0]", "{x}[:, None]", "{x}[..., -1]", "{x}[:, ::2, ...]"),
    *_code("2345", "{x}.unfold({d}, 1, 1)", "{x}.unfold({d}, 2, 2)", "{x}.unfold({d}, 2, 1)"),
    *_code("2345", "{x}.unfold({d}, 2, 1).unfold({e}, 2, 2) + 1", name="windows with gaps"),
    *_code("2345", "{x}.contiguous()", "{x}.clone()", "{x}.detach()", "{x}.view({x}.shape)", "{x}.view_as({y})", "{x}.narrow({d}, 0, 1)"),
    *_code("2345", "{x}.reshape({x}.shape[0], {last}, -1)", "{x}.unflatten({d}, (-1, {s}))", "{x}.movedim({d}, 1).contiguous()"),
    *_code("2345", "{x}[:, :1].expand(-1, {s}, *{x}.shape[2:])", "{x}[:, :1].expand_as({x}) * {x}", "{x}.diagonal(dim1={d}, dim2=1)"),
    *_code("2345", "{x}.flip({d})", "torch.roll({x}, 1, {d})", "{x}.repeat_interleave(2, {d})"),
    *_code("2345", "{x}.index_select({d}, torch.tensor([0]))", "{x}[:, torch.tensor([0, 0])]", name="constant"),
    *_code("2345", "torch.gather({x}, {d}, torch.zeros_like({x}, dtype=torch.int64))"),
    *_code("345", "{x}.mT.reshape({x}.shape[0], -1)", "{x}.transpose(1, 2).contiguous()", "{x}.tril()", "{x}.swapaxes(1, 2)"),
    *_code("4", "{x}.permute(0, 2, 3, 1)", "{x}.permute(0, 3, 1, 2)", "{x}.flatten(2).transpose(1, 2)", "{x}.to(memory_format=torch.channels_last)"),
    *_code("4", "{x}.view({x}.shape[0], {groups}, -1, *{x}.shape[2:]).transpose(1, 2).reshape({x}.shape)"),
    *_code("2345", "{x}.to(torch.float64).float()", "{x}.half().float()", "{x}.long().float()", "{x}.to({y})", "{x}.type_as({y})"),
    *_code("2345", "{x}.t()" , "{x}.transpose(0, -1)", "{x}.reshape(-1)", "{x}[:1] + {y}", "{x}.squeeze()", "{x}.repeat(2, *[1] * ({rank} - 1))", batchwise=False),
    *_code("2345", "torch.cat([{x}, {y}])", "torch.stack([{x}, {y}])", "{x}.expand(2, *{x}.shape)", "{x}.flip(0)", "{x}[-1]", batchwise=False),
    *_code("1", "{x}[None]", "{x}.unsqueeze(1)", "{x}.view(-1, 1)", batchwise=False),
    *_code("1", "{x}.diag_embed()", name="diag_embed", batchwise=False),
    *_code("2345", "{x}[:, :0].sum({d})", "torch.stack({x}[:, :0].unbind(1) or ({x},))", name="empty"),
    *_code("2345", "{x} * torch.hann_window({last})", "{x}[..., torch.randperm({last})]", batchwise=False),
]  # fmt: skip

IN_PLACE = [
    *_code("12345", "{x}.add_(1.0)", "{x}.mul_({y})", "F.relu({x}, inplace=True)", "{x}.sigmoid_()", "{x}.clamp_(0, 6)", "{x}.div_(2)"),
    *_code("12345", "{x}.copy_({y})", "{x}.zero_()", "{x}.fill_(0.5)", "{x}.masked_fill_({x} > 0.5, 0.0)", "{x}.addcmul_({y}, {y})"),
    *_code("12345", "{x}.uniform_()", "{x}.exp_()", "{x}.sub_({y}, alpha=2)", "{x}.neg_()"),
    *_code("2345", "{x}[..., 0] += 1\n{out} = {x}", "{x} += {y}\n{out} = {x}", "{x}[:, :1].mul_(2)\n{out} = {x}"),
    Part("2345", "", "{x}[:, 0] = 0.5\n{out} = {x}", "fill"),
    *_code("2345", "{x}.squeeze_({d})", "{x}.unsqueeze_({d})", "{x}.transpose_({d}, 1)"),
    Part("2345", "", "{x}.index_fill_({d}, torch.tensor([0]), 2)", "constant"),
    *_code("12345", "torch.add({x}, {y}, out=torch.empty_like({x}))", "torch.mul({x}, {y}, out={x})"),
    *_layers("12345", "nn.ReLU(inplace=True)", "nn.Hardswish(inplace=True)", "nn.SiLU(inplace=True)"),
    *_layers("12345", "nn.Dropout(0.5, inplace=True)", name="dropout_"),
]  # fmt: skip

CONTAINERS = [
    *_layers("2345", "nn.Sequential(nn.Linear({last}, {k}), nn.{activation}(), nn.Linear({k}, {last}))"),
    *_layers("4", "nn.Sequential(nn.Conv2d({c}, {c}, 3, padding=1), nn.GroupNorm(1, {c}), nn.ReLU6(), nn.Dropout(0.1))"),
    *_layers("2345", "nn.Sequential(*[nn.Linear({last}, {last})] * 2)"),
    Part("2345", "nn.ModuleList([nn.Linear({last}, {last}) for _ in range({s})])", "{out} = {x}\nfor layer in {m}:\n    {out} = layer({out}) + {x}"),
    Part("2345", "nn.ModuleDict(dict(a=nn.Linear({last}, {k}), b=nn.Linear({last}, {k})))", "sum(layer({x}) for layer in {m}.values())"),
    Part("2345", "nn.ParameterList([torch.rand({last}), torch.rand({last})])", "{x} * {m}[0] + {m}[1]"),
    Part("2345", "{m} = nn.Sequential(nn.Linear({last}, {last}), nn.Linear({last}, {last}))\n{m}[0].weight = {m}[1].weight"),
    Part("2345", "{m} = nn.Linear({last}, {k})\n{m}_again = {m}", "{m}({x}) + {m}_again({x})"),
    Part("2345", "nn.utils.parametrizations.weight_norm(nn.Linear({last}, {k}))", batchwise=False),
    Part("2345", "nn.utils.parametrizations.orthogonal(nn.Linear({last}, {k}))", name="linear algebra", batchwise=False),
    Part("2345", "nn.utils.spectral_norm(nn.Linear({last}, {k}))", name="spectral_norm", batchwise=False),
    Part("2345", "nn.utils.parametrizations.spectral_norm(nn.Linear({last}, {k}))", name="spectral_norm", batchwise=False),
    Part("2345", "from torch.nn.utils.prune import l1_unstructured\n{m} = l1_unstructured(nn.Linear({last}, {k}), 'weight', 0.5)", code="0 + {m}({x})", name="constant", batchwise=False),
    Part("2345", "{m} = nn.Linear({last}, {last})\n{m}.register_forward_hook(lambda module, args, result: result * 2)"),
    Part("2345", "{m} = nn.ReLU()\n{m}.register_forward_pre_hook(lambda module, args: (args[0] + 1,))"),
    Part("2345", "{m} = nn.Linear({last}, {last}, bias=False)\n{m}.forward = lambda x, layer={m}: F.linear(x * 2, layer.weight)", name="patched"),
    Part("12345", "nn.Linear(3, 3)", "{x} * 1.0", unused=True),
]  # fmt: skip

STATE = [
    Part("12345", "{m} = 0", "{m} += 1\n{out} = {x} * {m}"),
    Part("12345", "{m} = []", "{m}.append({x})\n{out} = {m}[-1] + {x}"),
    Part("12345", "{m} = dict(cache=(None, [1]))", "{m}['cache'] = {x}\n{out} = {m}['cache'] * 2"),
    Part("12345", "{m} = None", "{m} = {x}\nself.training = not self.training\n{out} = {m} + {y}"),
    Part("2345", "self.register_buffer('{b}', torch.ones({last}))", "{x} * {m}"),
    Part("2345", "self.register_buffer('{b}', torch.ones({last}))", "{m} = {m} + 1\n{out} = {x} + {m}", batchwise=False),
    Part("2345", "self.register_buffer('{b}', torch.ones({last}))", "{m}.add_(1)\n{out} = {x} + {m}", "version", batchwise=False),
    Part("2345", "self.register_buffer('{b}', torch.ones({last}))", "torch.add({m}, 1, out={m})\n{out} = {x} + {m}", "out", batchwise=False),
    Part("2345", "nn.Linear({last}, {k})", "{m}.weight.data = {m}.weight.data * 0.5\n{out} = {m}({x})", "data", batchwise=False),
    Part("2345", "nn.Linear({last}, {k})", "{m}.weight.data.clamp_(-1, 1)\n{out} = {m}({x})", "version", batchwise=False),
    Part("2345", "nn.Linear({last}, {k})", "{m}.requires_grad_(False)\n{out} = {m}({x})"),
    Part("2345", "nn.Linear({last}, {k})", "{m}.weight.grad = torch.zeros_like({m}.weight)\n{out} = {m}({x})", "gradient", batchwise=False),
    Part("2345", "nn.Linear({last}, {k})", "{m}.weight = nn.Parameter({m}.weight.detach())\n{out} = {m}({x})"),
    Part("12345", "nn.Dropout(0.5)", "self.eval()\n{out} = {m}({x})"),
    Part("12345", "nn.Dropout(0.5)", "{m}.train()\n{out} = {m}({x})"),
    Part("12345", "nn.ReLU()", "{m}.register_forward_hook(lambda *_: None)\n{out} = {m}({x})"),
    Part("12345", "", "{out} = {x} * random.random() + torch.rand(())", batchwise=False),
    Part("12345", "", "torch.manual_seed(0)\n{out} = {x} + torch.randn_like({x})"),
    Part("12345", "", "self.late = {x}\nself.late_layer = nn.Identity()\n{out} = self.late_layer(self.late) + 1"),
]  # fmt: skip

INTEGERS = [
    *[Part("i", init) for init in ("nn.Embedding(10, {k})", "nn.Embedding(10, 3, padding_idx=0)")],
    Part("i", "nn.Embedding(10, 4, max_norm=1.0)", name="max_norm", batchwise=False),
    Part("i", "nn.EmbeddingBag(10, {k}, mode='sum')", name="embedding_bag"),
    *_code("i", "{x}.float()", "{x} + 1", "{x}.clamp(max=3)", "{x}[:, :1]", "{x} // 2", "({x} > 1).long()"),
    *_code("i", "F.one_hot({x}, 12).float()", name="one_hot", batchwise=False),
]  # fmt: skip

GROUPS = {
    "pointwise": POINTWISE,
    "products": PRODUCTS,
    "norms": NORMS,
    "windows": WINDOWS,
    "reductions": REDUCTIONS,
    "moves": MOVES,
    "in place": IN_PLACE,
    "containers": CONTAINERS,
    "state": STATE,
    "integers": INTEGERS,
}
"""The parts by group; the groups are drawn equally often."""

CONTROLS = [
    Part("", "", "if {x}.shape[-1] % 2:\n    {out} = {m}({x})\nelse:\n    {out} = {m}({x} * 2)"),
    Part("", "", "with torch.no_grad():\n    {out} = {m}({x})"),
    Part("", "", "with torch.inference_mode():\n    {out} = {m}({x})"),
    Part("", "", "{out} = {x}\nfor _ in range(2):\n    {out} = {m}({out})"),
    Part("", "", "{out} = {m}({m}({x}))"),
    Part("", "", "{out} = {m}.forward({x})"),
    Part("", "", "{out} = {m}(input={x})"),
    Part("", "", "{out} = torch.func.functional_call({m}, dict({m}.named_parameters()), ({x},))"),
    Part("", "", "{out} = torch.utils.checkpoint.checkpoint({m}, {x}, use_reentrant=False)"),
    Part("", "", "try:\n    raise ValueError\nexcept ValueError:\n    {out} = {m}({x})"),
    Part("", "", "try:\n    {m}(None)\nexcept Exception:\n    {out} = {m}({x})\nelse:\n    {out} = {m}({x})"),
    Part("", "", "with torch.autocast('cpu', dtype=torch.bfloat16):\n    {out} = {m}({x})\n{out} = {out}.float()", "autocast", batchwise=False),
    Part("", "", "{out} = torch.vmap({m})({x})", "vmap", batchwise=False),  # it may run an operator once for each sample
    Part("", "", "import concurrent.futures as futures\nwith futures.ThreadPoolExecutor(1) as pool:\n    {out} = pool.submit({m}, {x}).result()", "threads"),
]  # fmt: skip
"""Statements around the call of a layer, instead of the call alone."""
