"""What a reference names, how it is built, and what its forward is given."""

from __future__ import annotations

import functools
import os
import resource
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from witness import DATA, timm, torchvision

from mbanalyze import count
from mbanalyze.archs.options import OptionError
from mbanalyze.inputs.parsing import parse_input
from mbanalyze.inputs.typed import InputError, Typed
from mbanalyze.sources.references import SourceError
from mbanalyze.sources.subject import subject

WITH_TORCHVISION = (str(Path(__file__).parent / "launch.py"),)
NETS = str(DATA / "nets.py")


def launch(
    *arguments: str, how: tuple[str, ...] = ("-m", "mbanalyze"), **environment: str
) -> subprocess.CompletedProcess[str]:
    """The command line as a process."""
    command = [sys.executable, *how, *arguments]
    env = {**os.environ, **environment}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=env, timeout=120)


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("1,3,224,224", (None, (1, 3, 224, 224))),
        ("ids=1,128:int64", ("ids", Typed((1, 128), "int64"))),
        ("mask=2,3", ("mask", (2, 3))),
        ("7:bool", (None, Typed((7,), "bool"))),
    ],
)
def test_inputs_are_parsed(text: str, parsed: object) -> None:
    """A shape, with a name and a type or without."""
    assert parsed == parse_input(text)


@pytest.mark.parametrize("text", ["", "1,x", "1,-3", "a b=1,2", "1,2:int", "=1,2", "1,2:"])
def test_malformed_inputs(text: str) -> None:
    """Each ends in a line that says what is wrong."""
    with pytest.raises(InputError, match="malformed input"):
        parse_input(text)


class Nested(nn.Module):
    """Takes a pair, a dict and a keyword."""

    def forward(self, pair: tuple[Tensor, Tensor], named: dict[str, Tensor], *, scale: Tensor) -> Tensor:
        """Adds them up."""
        return pair[0] + pair[1] + named["x"] * scale


def test_nested_inputs_and_keywords() -> None:
    """Shapes may be anywhere in containers, beside tensors."""
    report = count(Nested(), ((2, 3), torch.zeros(2, 3)), {"x": (2, 3)}, kwargs={"scale": (3,)})

    assert report.input == ((2, 3), (2, 3), (2, 3), (3,))
    assert [row.op.kind for row in report.rows] == ["add", "mul", "add"]


def test_typed_shapes() -> None:
    """An index has a type of its own."""
    report = count(nn.Embedding(10, 4), Typed((2, 5), "int64"))

    assert report.rows[0].op.operands[1].itemsize == 8


@pytest.mark.parametrize(
    ("reference", "options", "error", "message"),
    [
        ("timm:resnet1", {}, SourceError, "timm has no model 'resnet1': nearest are "),
        ("torchvision:resnet1", {}, SourceError, "torchvision has no model 'resnet1': nearest are resnet"),
        ("transformers:Bert", {}, SourceError, "transformers has no model 'Bert': nearest are BertConfig"),
        ("timm:resnet18", {"pretrained": True}, OptionError, "counted without weights: leave pretrained out"),
        ("torchvision:resnet18", {"weights": "DEFAULT"}, OptionError, "leave weights out"),
        ("transformers:BertConfig", {}, InputError, "such as --input input_ids=1,128:int64"),
        ("torchvision:fasterrcnn_resnet50_fpn", {}, InputError, "needs the shape of its input"),
        ("torchvision:resnet18", {"depth": 3}, SourceError, "torchvision:resnet18 raised TypeError"),
    ],
)
def test_references_that_lead_nowhere(
    reference: str, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    """One line each."""
    timm()
    with pytest.raises(error, match=message):
        count(reference, **options)


def test_a_package_that_is_missing() -> None:
    """The line says how to get it."""
    code = (
        "import sys; sys.modules['timm'] = None; from mbanalyze.cli import main; "
        "sys.argv = ['mbanalyze', 'report', 'timm:resnet18']; main()"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == "mbanalyze: error: timm is not installed: pip install 'mbanalyze[timm]'\n"


def test_no_backbone_is_downloaded() -> None:
    """Segmentation networks are built without their backbone's weights too."""
    torchvision()

    assert count("torchvision:fcn_resnet50", (1, 3, 64, 64)).complete


def test_building_draws_no_weights() -> None:
    """A billion parameters from a factory to totals take no memory to speak of."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    report = count(f"{NETS}:billion", (1, 4096))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before

    assert report.totals.params == 64 * 4096 * 4096 == 1_073_741_824
    # in KiB: the weights would take 4 GiB
    assert grown < 300 * 1024


def test_what_is_computed_from_weights_is_not_filled_either() -> None:
    """Weights drawn, scaled and halved; they would take 2 GiB and 1."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    report = count(f"{NETS}:scaled", (1, 4096))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before

    assert (report.totals.params, report.dtype, report.notes) == (32 * 4096 * 4096, "float16", ())
    assert grown < 300 * 1024


def test_drawing_until_all_is_well_ends() -> None:
    """Memory that nobody wrote to holds anything: here what never is well."""
    ran = launch("report", f"{NETS}:truncated", "--input", "1,300", MALLOC_PERTURB_="129")

    assert ran.returncode == 0
    assert "note:" not in ran.stdout


def test_building_leaves_the_random_state() -> None:
    """With weights or without."""
    torchvision()
    state = torch.get_rng_state()
    count("torchvision:squeezenet1_0")
    count("torchvision:squeezenet1_0", real=True, resolution=64)

    assert torch.equal(state, torch.get_rng_state())


def test_constants_keep_their_values_in_a_module_without_weights() -> None:
    """Buffers and small tensors are what the maker made them."""
    module = subject(f"{NETS}:constants", (1, 3)).build()

    assert torch.equal(module.get_buffer("steps"), torch.arange(5))
    assert torch.equal(module.get_parameter("ones"), torch.ones(7))


def test_a_maker_that_needs_its_weights_is_given_them() -> None:
    """Ordinary construction is the fallback, and the report says so."""
    report = count(f"{NETS}:looks_at_weights", (1, 300))

    assert report.notes == (
        "built with its weights filled, as it could not be without: ValueError: these are no weights",
    )


def test_weights_that_are_turned_in_place_are() -> None:
    """What changes a shape is done also where nothing is filled."""
    report = count(f"{NETS}:turned", (1, 512))

    assert (report.totals.macs, report.notes) == (512 * 256, ())


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "vit_b_32"])
def test_a_module_without_weights_is_the_same_network(name: str) -> None:
    """The same parameters and buffers by name and shape, and the same operators."""
    models = torchvision().models
    ordinary = models.get_model(name, weights=None)
    built = subject(f"torchvision:{name}").build()

    shapes = [{k: v.shape for k, v in module.state_dict().items()} for module in (ordinary, built)]
    assert shapes[0] == shapes[1]
    assert [row.op for row in count(ordinary, (1, 3, 224, 224)).rows] == [
        row.op for row in count(built, (1, 3, 224, 224)).rows
    ]


@pytest.mark.slow
def test_other_packages_at_the_command_line() -> None:
    """By name, with inputs by name, and with the exit codes of scripts."""
    by_name, typed, batch = (
        launch("report", *arguments.split(), how=WITH_TORCHVISION)
        for arguments in (
            "timm:resnet10t --by kind",
            "transformers:BertConfig --set num_hidden_layers=1 --input input_ids=1,8:int64",
            "torchvision:resnet18 --batch 2 --resolution 64 --format json",
        )
    )

    for ran in (by_name, typed, batch):
        assert (ran.returncode, ran.stderr) == (0, "")
    assert "input 1x3x176x176" in by_name.stdout
    assert "transformers:BertConfig num_hidden_layers=1 | input 1x8" in typed.stdout
    assert '"input": [\n    [\n      2,\n      3,\n      64,\n      64' in batch.stdout


class TestStates:
    """One list of operators, whatever state the model and the caller are in."""

    @staticmethod
    def network() -> nn.Module:
        """Convolution, batch norm, dropout, attention."""
        return nn.Sequential(
            nn.Conv2d(3, 8, 3),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Dropout(),
            nn.Flatten(2),
            nn.TransformerEncoderLayer(36, 4, 16, batch_first=True),
        )

    def test_modes_of_the_caller(self) -> None:
        """Under no_grad, inference_mode, and with gradients; in training and in evaluation."""
        net = self.network()
        expected = [row.op for row in count(net, (2, 3, 8, 8)).rows]
        for context in (torch.no_grad(), torch.inference_mode(), torch.enable_grad(), torch.autocast("cpu")):
            with context:
                assert expected == [row.op for row in count(net.train(), (2, 3, 8, 8)).rows]
                assert expected == [row.op for row in count(net.eval(), (2, 3, 8, 8)).rows]

    def test_parameters_on_meta_and_in_half_precision(self) -> None:
        """Where the weights are, and how wide, changes no operator."""
        expected = [row.op for row in count(self.network(), (2, 3, 8, 8)).rows]

        assert expected == [row.op for row in count(self.network().to("meta"), (2, 3, 8, 8)).rows]
        half = count(self.network().half(), (2, 3, 8, 8))
        assert expected == [row.op for row in half.rows]
        assert half.dtype == "float16"

    def test_compiled_modules(self) -> None:
        """Compiled from outside or in place: what was compiled is counted."""
        net = self.network()
        expected = [row.op for row in count(net, (2, 3, 8, 8)).rows]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's compiler is imported with deprecations of its own
            compiled = torch.compile(net)
        assert isinstance(compiled, nn.Module)

        assert expected == [row.op for row in count(compiled, (2, 3, 8, 8)).rows]
        net.compile()
        assert expected == [row.op for row in count(net, (2, 3, 8, 8)).rows]
        assert net._compiled_call_impl is not None

    def test_spectral_norm_and_weight_norm(self) -> None:
        """The weight is computed, and both of its parts are owned."""
        from torch.nn.utils import parametrizations

        weight = count(parametrizations.weight_norm(nn.Conv2d(3, 4, 3)), (1, 3, 8, 8))
        spectral = count(parametrizations.spectral_norm(nn.Linear(3, 4)), (1, 3))

        # a magnitude for each of 4 filters
        assert weight.totals.params == 4 * 27 + 4 + 4
        assert weight.complete
        assert spectral.totals.params == 12 + 4
        assert spectral.complete

    def test_subclasses_and_children_called_by_forward(self) -> None:
        """A subclassed layer is its operator; a child's forward is where it runs."""

        class Mine(nn.Linear):
            pass

        class Net(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.child = Mine(3, 4)

            def forward(self, x: Tensor) -> Tensor:
                return self.child.forward(x)

        (row,) = count(Net(), (1, 3)).rows

        assert (row.op.path, row.op.kind, row.cost.params) == ("child", "linear", 16)

    def test_a_script_module_is_refused(self) -> None:
        """It hides its operators."""
        from mbanalyze.trace.tracer import TraceError

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            script = torch.jit.script(nn.Linear(2, 2))
        with pytest.raises(TraceError, match="a TorchScript module hides its operators"):
            count(script, (1, 2))


def test_what_a_forward_keeps_elsewhere_works_afterwards() -> None:
    """A constant in a cache of its own can be used where gradients are wanted."""

    @functools.cache
    def steps(n: int) -> Tensor:
        return torch.arange(n).float()

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(3, 3)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.fc(x) * steps(3)
            return out

    net = Net()
    count(net, (1, 3))
    net(torch.ones(1, 3)).sum().backward()

    assert net.fc.bias.grad is not None
    assert torch.equal(net.fc.bias.grad, torch.arange(3.0))


@pytest.mark.parametrize(
    ("inputs", "options", "message"),
    [
        ((1, 3, 8, 8), {}, r"an input is a shape in parentheses, such as \(1, 3, 8, 8\)"),
        ((), {"kwargs": 3}, "kwargs is a dict of what the forward takes by name, not 3"),
        ((), {"kwargs": {"input": (1, -3)}}, r"an input shape is whole numbers above 0, not \(1, -3\)"),
    ],
)
def test_inputs_that_are_none(inputs: tuple[Any, ...], options: dict[str, Any], message: str) -> None:
    """One line that says what an input is."""
    with pytest.raises(InputError, match=message):
        count(nn.ReLU(), *inputs, **options)


def test_a_published_input_follows_the_options() -> None:
    """Of channels and image size; there is no resolution of 0."""
    timm()

    assert subject("timm:resnet18", in_chans=1).inputs == ((1, 1, 224, 224),)
    assert subject("timm:vit_tiny_patch16_224", img_size=384).inputs == ((1, 3, 384, 384),)
    with pytest.raises(InputError, match="resolution must be a whole number above 0, not 0"):
        subject("timm:resnet18", resolution=0)
    with pytest.raises(SourceError, match=r"^timm:resnet18\.bogus: Invalid pretrained tag"):
        subject("timm:resnet18.bogus")


def test_strict_fails_on_what_is_not_counted() -> None:
    """Exit code 1, and the report as ever."""
    strict = launch("report", f"{NETS}:strange", "--input", "2,3", "--strict")
    complete = launch("report", f"{NETS}:small", "--input", "1,3,8,8", "--strict")

    assert (strict.returncode, complete.returncode) == (1, 0)
    assert "aten::special_bessel_j0" in strict.stdout


def test_what_depends_on_values() -> None:
    """On shapes it stops, and says where and what to do; on values it runs, and says so."""
    stopped = launch("report", f"{NETS}:picky", "--input", "2,3")
    real = launch("report", f"{NETS}:picky", "--input", "2,3", "--real")

    assert (stopped.returncode, stopped.stdout) == (2, "")
    assert "in module '1'" in stopped.stderr
    assert "--real runs on values" in stopped.stderr
    assert real.returncode == 0
    assert "note: run on real tensors" in real.stdout


def test_a_file_is_read_as_it_is(tmp_path: Path) -> None:
    """Also when it was changed within the second, to something as long; and nothing is left beside it."""
    file = tmp_path / "net.py"
    for width in (10, 11):
        file.write_text(f"from torch import nn\n\ndef build():\n    return nn.Linear(3, {width})\n")
        os.utime(file, (1_000_000_000, 1_000_000_000))

        assert count(f"{file}:build", (1, 3)).totals.params == 4 * width
    assert list(tmp_path.iterdir()) == [file]
