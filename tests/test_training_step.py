"""A training step without data holds as much memory as one of real tensors, and changes nothing."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn, optim
from torch.autograd.graph import saved_tensors_hooks
from torch.distributed._tools.mem_tracker import MemTracker
from torch.utils.checkpoint import checkpoint
from witness import torchvision

from mbanalyze.trace.forward_errors import NeedsValuesError, TraceError
from mbanalyze.trace.training_step import run_forward, run_step
from mbanalyze.trace.training_step.on_cpu import without_onednn

OPTIMIZERS: dict[str, Callable[[list[Tensor]], optim.Optimizer] | None] = {
    "none": None,
    "sgd": lambda params: optim.SGD(params, lr=0.1),
    "momentum": lambda params: optim.SGD(params, lr=0.1, momentum=0.9),
    "adam": optim.Adam,
}
NETWORKS = {
    **dict.fromkeys(
        ("resnet18", "squeezenet1_1"), tuple(OPTIMIZERS)
    ),  # mostly parameters, mostly activations
    **dict.fromkeys(("mobilenet_v2", "mobilenet_v3_small", "shufflenet_v2_x0_5"), ("none", "adam")),
    **dict.fromkeys(("squeezenet1_0", "mnasnet0_5", "efficientnet_b0"), ("none", "adam")),
}
"""Names in torchvision, each with the optimizers that train it."""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Run real tensors in one thread, because the convolutions of tests that run beside it would wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def new_tracker() -> MemTracker:
    """PyTorch's tracker of memory, whose dict of modules holds no weak references, which are slow to follow."""
    tracker = MemTracker()
    tracker.memory_tracking = {}  # type: ignore[assignment]
    return tracker


def tracked(tracker: MemTracker) -> int:
    """The peak that PyTorch's tracker of memory found."""
    peak: int = tracker.get_tracker_snapshot("peak")[torch.device("cpu")]["Total"]
    return peak


def real_peak(model: nn.Module, image: Tensor, optimizer: str) -> int:
    """The most memory during a step of training `model` on real tensors, when the optimizer has its state."""
    model.train()
    make = OPTIMIZERS[optimizer]
    update = make(list(model.parameters())) if make else None

    def step() -> None:
        outputs = model(image)
        loss = outputs.sum()
        loss.backward()
        if update:
            update.step()

    if optimizer in ("momentum", "adam"):
        step()
    model.zero_grad()
    tracker = new_tracker()
    tracker.track_external(model, image, *filter(None, [update]))
    with tracker, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        step()
    return tracked(tracker)


def real_forward_peak(model: nn.Module, image: Tensor) -> int:
    """The most memory during a forward of `model` on real tensors, without gradients."""
    model.eval().zero_grad()
    tracker = new_tracker()
    tracker.track_external(model, image)
    with tracker, torch.no_grad():
        model(image)
    return tracked(tracker)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_peaks_are_those_of_real_tensors(name: str) -> None:
    """The peak of a step equals that of PyTorch's tracker to the byte with each optimizer, and so does a forward's."""
    model, image = getattr(torchvision().models, name)(), torch.rand(2, 3, 64, 64)

    expected = {optimizer: real_peak(model, image, optimizer) for optimizer in NETWORKS[name]}
    assert expected == {
        optimizer: run_step(model, image.to("meta"), optimizer=optimizer).peak_bytes
        for optimizer in NETWORKS[name]
    }
    assert real_forward_peak(model, image) == run_forward(model, image.to("meta")).bytes


def saved_by_autograd(model: nn.Module, image: Tensor) -> int:
    """The bytes of the distinct storages that a forward on real tensors saves, without parameters and buffers."""
    storages: dict[int, torch.UntypedStorage] = {}

    def add(tensor: Tensor) -> Tensor:
        storages[tensor.data_ptr()] = tensor.untyped_storage()
        return tensor

    with saved_tensors_hooks(add, lambda tensor: tensor):
        model.train()(image).sum()
    for kept in (*model.parameters(), *model.buffers()):
        storages.pop(kept.data_ptr(), None)
    return sum(storage.nbytes() for storage in storages.values())


@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v3_small", "resnet18", "swin_t"])
def test_what_is_saved_is_what_autograd_saves(name: str) -> None:
    """The saved bytes equal those of PyTorch's hooks for saved tensors, and so does their sum over modules."""
    model, image = getattr(torchvision().models, name)(), torch.rand(2, 3, 64, 64)

    step = run_step(model, image)

    assert saved_by_autograd(model, image) == step.saved_bytes == sum(step.saved_by_path.values())


def test_the_split_of_a_linear_layer() -> None:
    """At the peak of Adam, which is in its update, a linear layer holds all that training needs."""
    step = run_step(nn.Linear(3, 2), torch.empty(5, 3, device="meta"), optimizer="adam")

    # 8 parameters of 4 bytes; gradients alike; two moments each and 2 step counts of 4 bytes
    # the image of 15 elements, 10 outputs, the loss and the ones that start the backward pass
    assert step.peak.phase == "optimizer"
    split = step.peak.split
    assert split[:4] == (32, 0, 32, 72)
    assert split.activations == (15 + 10 + 1) * 4
    assert sum(split) == step.peak_bytes


def test_the_gradients_of_a_convolution_count_twice() -> None:
    """The backward pass of a convolution multiplies once for its weight, and once more for an image that needs it."""
    first = nn.Conv2d(4, 8, 3, groups=2, bias=False)
    # 8 channels of 6 x 6, each from 2 channels of 3 x 3
    macs = 8 * 36 * 2 * 9
    image = torch.empty(1, 4, 8, 8, device="meta")

    assert macs == run_step(first, image).backward_macs
    # then 5 channels of 6 x 6, each from 8, twice
    both = nn.Sequential(first, nn.ReLU(), nn.Conv2d(8, 5, 1))
    assert macs + 2 * 5 * 36 * 8 == run_step(both, image).backward_macs


def test_a_matrix_has_two_gradients() -> None:
    """The backward pass of a linear layer is a product for its weight, and another for its input."""
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))

    # the first layer has no gradient of its input
    assert run_step(model, torch.empty(5, 3)).backward_macs == 5 * 3 * 4 + 2 * 5 * 4 * 2


def test_an_operator_without_formula_leaves_the_count_unknown() -> None:
    """The multiply-accumulates are unknown, and the operator is named."""

    class Distances(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return torch.cdist(super().forward(x), x)

    step = run_step(Distances(4, 4), torch.empty(2, 4))

    assert (step.backward_macs, step.uncounted) == (None, ("aten::_cdist_backward",))


def test_frozen_layers_cut_the_backward_pass() -> None:
    """A frozen first layer saves nothing, has no gradient and no state, and multiplies nothing."""
    model = nn.Sequential(nn.Linear(4, 6, bias=False), nn.ReLU(), nn.Linear(6, 2, bias=False))
    model[0].requires_grad_(requires_grad=False)

    step = run_step(model, torch.empty(3, 4), optimizer="momentum")

    assert step.saved_bytes == 3 * 6 * 4  # the input of the last layer
    assert step.backward_macs == 3 * 6 * 2
    assert step.peak.split.optimizer_state == 2 * 6 * 4


class Checkpointed(nn.Module):
    """A block that runs again in the backward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(inplace=True))
        self.last = nn.Conv2d(8, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Run both."""
        y: Tensor = self.last(checkpoint(self.block, x, use_reentrant=False))
        return y


class Stateful(nn.Module):
    """A module that replaces a buffer and a number, makes constants, and asks for the value of a draw."""

    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.register_buffer("scale", torch.ones(4))
        self.calls = 0
        self.constant = torch.ones(2, 4)

    def forward(self, x: Tensor) -> Tensor:
        """Change everything."""
        self.calls += 1
        self.scale = self.scale * 2
        self.constant.add_(1)
        if torch.rand(()) < 2:
            x = x + torch.tensor([1.0, 2, 3, 4])
        y: Tensor = self.linear(x) * self.scale + self.constant
        return y


class Remembers(nn.Module):
    """A module that keeps its output for the next step, in a buffer that grows."""

    memory: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.register_buffer("memory", torch.zeros(1, 4))

    def forward(self, x: Tensor) -> Tensor:
        """Use the memory after all other work."""
        y: Tensor = self.linear(x)
        self.memory = torch.cat([self.memory, y.detach(), y.detach()])
        return y + self.memory.sum()


class Tied(nn.Module):
    """A decoder that shares the table of the encoder."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(4, 8, bias=False)
        self.decoder = nn.Linear(8, 4, bias=False)
        self.decoder.weight = nn.Parameter(self.encoder.weight.detach().T)

    def forward(self, x: Tensor) -> Tensor:
        """Run both."""
        y: Tensor = self.decoder(self.encoder(x))
        return y


MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "checkpoint": (Checkpointed, (2, 3, 16, 16)),
    "state": (Stateful, (2, 4)),
    "memory": (Remembers, (8, 4)),
    "tied": (Tied, (2, 4)),
    "attention": (lambda: nn.TransformerEncoderLayer(16, 4, 32, batch_first=True), (2, 7, 16)),
    "in place": (
        lambda: nn.Sequential(nn.ConvTranspose2d(3, 4, 3), nn.SiLU(inplace=True), nn.Dropout(inplace=True)),
        (2, 3, 8, 8),
    ),
    "weight norm": (lambda: nn.utils.parametrizations.weight_norm(nn.Linear(4, 4)), (2, 4)),
}


@pytest.mark.parametrize("name", MODELS)
def test_other_models_take_as_much_as_on_real_tensors(name: str) -> None:
    """Checkpoints, replaced buffers, tied parameters, attention and layers in place give the tracker's peak."""
    make, shape = MODELS[name]
    inputs = torch.rand(shape)

    assert real_peak(make(), inputs, "adam") == run_step(make(), inputs, optimizer="adam").peak_bytes


def test_an_lstm_runs_as_single_operators() -> None:
    """An LSTM takes as much as on real tensors without oneDNN, whose kernel keeps a workspace of a size of its own."""

    class Hidden(nn.LSTM):
        def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
            return super().forward(x)[0]

    inputs = torch.rand(5, 2, 3)

    with without_onednn():
        expected = real_peak(Hidden(3, 4), inputs, "adam")
    step = run_step(Hidden(3, 4), inputs, optimizer="adam")
    assert expected == step.peak_bytes
    # the weights of 16 x 3 and 16 x 4 at 5 x 2 places, and the hidden states, of which the first 2 need no gradient
    expected = 10 * (48 + 64) + 8 * 64
    assert expected == step.backward_macs
    assert torch._C._get_mkldnn_enabled()


@dataclass
class Outputs:
    """The outputs of a network that is neither a container nor a tensor."""

    scores: Tensor
    best: Tensor
    spectrum: list[Tensor]


def test_outputs_of_any_type_have_gradients() -> None:
    """A dataclass and a generator are looked through; integers have no gradient, and complex numbers have one."""

    class Net(nn.Linear):
        def forward(self, x: Tensor) -> Any:
            y = super().forward(x)
            return Outputs(y, y.argmax(1), [torch.fft.fft(y)])

    class Lazy(nn.Linear):
        def forward(self, x: Tensor) -> Any:
            yield super().forward(x)
            yield super().forward(x)

    # 2 x 4 x 4 for the weight of each product
    assert run_step(Net(4, 4), torch.empty(2, 4)).backward_macs == 32
    assert run_step(Lazy(4, 4), torch.empty(2, 4)).backward_macs == 2 * 32
    # 16 + 4 parameters, 8 inputs, and 8 outputs twice
    assert run_forward(Lazy(4, 4), torch.empty(2, 4)).bytes == 4 * (20 + 8 + 2 * 8)


def state_of(model: nn.Module) -> list[Any]:
    """Everything that a step could change."""
    modules = [(id(m), sorted(vars(m)), m.training, dict(m._parameters)) for m in model.modules()]
    tensors = [*model.parameters(), *model.buffers()]
    return [*modules, *((id(t), t._version, t.grad, t.requires_grad, t.tolist()) for t in tensors)]


@pytest.mark.parametrize("fails", [False, True])
def test_the_model_and_the_process_stay_as_they_were(*, fails: bool) -> None:
    """A step changes no tensor, attribute, gradient or random number, also if it raises."""
    stateful, dropout, last, inputs = Stateful(), nn.Dropout(), nn.Linear(4, 4), torch.rand(2, 4)
    model = nn.Sequential(stateful, nn.BatchNorm1d(4), dropout, last).eval()
    last.weight.grad = torch.ones(4, 4)

    def hook(*_: Any) -> None:
        if fails:
            raise ZeroDivisionError("no")

    dropout.register_forward_hook(hook)
    before, drawn, constant = state_of(model), torch.get_rng_state(), stateful.constant.clone()

    if fails:
        with pytest.raises(TraceError, match=r"^the step raised ZeroDivisionError in Sequential: no$"):
            run_step(model, inputs, optimizer="adam")
    else:
        run_step(model, inputs, optimizer="adam")
        run_forward(model, inputs)

    assert before == state_of(model)
    assert torch.equal(drawn, torch.get_rng_state())
    assert torch.equal(constant, stateful.constant)
    assert (stateful.calls, torch.is_grad_enabled()) == (0, True)
    assert stateful.constant._version == 0


@pytest.mark.parametrize("device", ["cuda", torch.device("cuda", 0)])
def test_devices_that_a_forward_names_are_not_needed(device: Any) -> None:
    """A forward may name a device that the machine lacks."""

    class OnDevice(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            y = (
                super().forward(x.to(device))
                + torch.zeros(4, device=device)
                + torch.tensor([1.0], device=device)
            )
            return y.cuda().cpu()

    assert run_step(OnDevice(4, 4), torch.empty(2, 4)).peak_bytes > 0


def test_a_model_takes_another_element_type() -> None:
    """With half-precision numbers, every part takes half as much, and integers stay."""
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
    full, half = (run_step(model, torch.empty(2, 3), dtype=dtype) for dtype in ("float32", "bfloat16"))

    assert full.peak_bytes == 2 * half.peak_bytes
    assert full.saved_bytes == 2 * half.saved_bytes


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_another_element_type_takes_as_much_as_on_real_tensors(dtype: str) -> None:
    """Constants keep their type, such as Adam's step counts, and the statistics of a norm take the type of the model."""

    class Scaled(nn.BatchNorm2d):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) * torch.tensor([2.0])

    def make() -> nn.Module:
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), Scaled(4))

    model, images = make().to(getattr(torch, dtype)), torch.rand(2, 3, 6, 6, dtype=getattr(torch, dtype))

    assert (
        real_peak(model, images, "adam") == run_step(make(), images, optimizer="adam", dtype=dtype).peak_bytes
    )
    assert saved_by_autograd(model, images) == run_step(make(), images, dtype=dtype).saved_bytes


def test_errors_say_what_to_do() -> None:
    """Nothing to train, a value that is not known, and layers that do not fit end in one line each."""

    class Asks(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) if x.sum() > 0 else x

    linear = nn.Linear(4, 4)
    with pytest.raises(TraceError, match=r"^no parameter requires a gradient, so there is nothing to train$"):
        run_step(nn.Linear(4, 4).requires_grad_(requires_grad=False), torch.empty(2, 4))
    with pytest.raises(TraceError, match=r"^no parameter requires a gradient"):
        run_step(nn.ReLU(), torch.empty(2, 4))
    with pytest.raises(TraceError, match=r"^no output depends on a parameter that requires a gradient$"):
        run_step(type("Unused", (nn.Linear,), {"forward": lambda self, x: x})(4, 4), torch.empty(2, 4))
    with pytest.raises(TraceError, match=r"^the loss depends on no parameter"):
        run_step(linear, torch.empty(2, 4), loss=lambda outputs: outputs.detach().sum())
    with pytest.raises(NeedsValuesError, match=r"^aten::_local_scalar_dense in Asks needs the values"):
        run_step(Asks(4, 4), torch.empty(2, 4))
    with pytest.raises(TraceError, match=r"^the step raised RuntimeError in module '1': .*\[5, 4\]$"):
        run_step(nn.Sequential(linear, nn.Linear(5, 4)), torch.empty(2, 4))
    with pytest.raises(TraceError, match=r"^0.weight has no shape yet: run the module once"):
        run_step(nn.Sequential(nn.LazyLinear(4)), torch.empty(2, 4))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scripted = torch.jit.script(linear)
    with pytest.raises(
        TraceError, match=r"^a tensor of a step is sparse_coo: only dense tensors .*sparse=False"
    ):
        run_step(nn.Embedding(9, 4, sparse=True), torch.zeros(2, dtype=torch.long))
    with pytest.raises(TraceError, match=r"^TorchScript holds its parameters itself"):
        run_step(nn.Sequential(scripted), torch.empty(2, 4))


def test_a_caught_error_holds_no_tensors() -> None:
    """An error that a forward catches releases the tensors of the module that raised."""

    class Tries(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fails, self.linear = Fails(), nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            with suppress(ZeroDivisionError):
                self.fails(x)
            y: Tensor = self.linear(x)
            return y

    class Fails(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            big = x.repeat(100, 1)
            return big / (1 // 0)

    # the input, 20 parameters, and 100 copies of the input; outputs are less than these copies
    expected = (2 * 4 + 20 + 100 * 2 * 4) * 4
    assert expected == run_forward(Tries(), torch.empty(2, 4)).bytes
    assert expected == run_step(Tries(), torch.empty(2, 4)).peak_bytes
