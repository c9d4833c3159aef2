"""Model references, building modules, and the inputs of a forward."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from warm import warm_python
from witness import DATA, timm, torchvision

from mbanalyze import Shape, count
from mbanalyze.archs.options import OptionError
from mbanalyze.inputs.choices import ChoiceError
from mbanalyze.inputs.parsing import spell_reference
from mbanalyze.inputs.typed import InputError
from mbanalyze.sources.references import SourceError
from mbanalyze.sources.resolve import resolve

WITH_TORCHVISION = (str(Path(__file__).parent / "launch.py"),)
NETS = str(DATA / "nets.py")


def launch(
    *arguments: str, how: tuple[str, ...] = ("-m", "mbanalyze"), **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process, in a new Python if the allocator reads a variable while it starts."""
    fresh = any(name.startswith("MALLOC") for name in environment)
    command = [sys.executable if fresh else warm_python(), *how, *arguments]
    env = {**os.environ, **environment}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=env, timeout=120)


@pytest.mark.parametrize(
    ("reference", "inputs", "options"),
    [
        ("mobilenet_v2@alpha=0.75", (), {"resolution": 96}),
        ("mnasnet0_5", (), {"resolution": 96}),
        (f"{NETS}:small@width=4", ((1, 3, 8, 8),), {}),
        (f'{NETS}:anything@a=[x,1],b="1,2"', ((1, 2),), {"c": None}),
    ],
)
def test_a_report_is_counted_again_from_its_reference(
    reference: str, inputs: tuple[Any, ...], options: dict[str, Any]
) -> None:
    """The name and options of a report make a reference to the same network."""
    report = count(reference, *inputs, **options)
    again = count(spell_reference(report.model, report.options), *inputs)

    assert (report.model, report.options, report.rows) == (again.model, again.options, again.rows)


@pytest.mark.parametrize(
    ("reference", "inputs", "option"),
    [("mobilenet_v2@alpha=1", (), "alpha"), (f"{NETS}:small@width=4", ((1, 3, 8, 8),), "width")],
)
def test_an_option_in_the_reference_and_as_an_argument(
    reference: str, inputs: tuple[Any, ...], option: str
) -> None:
    """An option behind the @ that is an argument too raises OptionError, even with the same value."""
    with pytest.raises(OptionError, match=f"{option} is given twice"):
        count(reference, *inputs, **{option: 4})


def test_an_alias_accepts_only_its_own_options() -> None:
    """An implied option may be repeated with the equal value only."""
    assert count("mnasnet0_5@alpha=0.5").totals == count("mnasnet", alpha=0.5).totals
    with pytest.raises(OptionError, match=r"mnasnet0_5 implies alpha=0\.5: leave alpha out"):
        count("mnasnet0_5@alpha=1")


@pytest.mark.parametrize("text", ["mobilenet_v2@", "mobilenet_v2@0.75", "mobilenet_v2@alpha:1"])
def test_options_without_an_equals_sign(text: str) -> None:
    """An architecture's name with other text behind the @ raises SourceError."""
    with pytest.raises(SourceError, match=f"malformed reference '{text}': write options as mobilenet_v2@key"):
        count(text)


class Nested(nn.Module):
    """A forward with a pair, a dict and a keyword argument."""

    def forward(self, pair: tuple[Tensor, Tensor], named: dict[str, Tensor], *, scale: Tensor) -> Tensor:
        """Add the arguments."""
        return pair[0] + pair[1] + named["x"] * scale


def test_nested_inputs_and_keywords() -> None:
    """Containers may mix shapes and tensors."""
    report = count(Nested(), (Shape(2, 3), torch.zeros(2, 3)), {"x": Shape(2, 3)}, kwargs={"scale": Shape(3)})

    assert report.input == ((2, 3), (2, 3), (2, 3), (3,))
    assert [row.op.kind for row in report.rows] == ["add", "mul", "add"]


def test_typed_shapes() -> None:
    """A typed shape sets the element size of its operand."""
    report = count(nn.Embedding(10, 4), Shape(2, 5, dtype="int64"))

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
def test_references_without_a_model(
    reference: str, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    """An unknown model, a forbidden option and a missing input raise the error of their subject."""
    timm()
    with pytest.raises(error, match=message):
        count(reference, **options)


def test_a_package_that_is_missing() -> None:
    """The error for a missing package says how to install it."""
    code = (
        "import sys; sys.modules['timm'] = None; from mbanalyze.cli import main; "
        "sys.argv = ['mbanalyze', 'report', 'timm:resnet18']; main()"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == "mbanalyze: error: timm is not installed: pip install 'mbanalyze[timm]'\n"


def test_no_backbone_is_downloaded() -> None:
    """Segmentation networks are built without downloading their backbone's weights."""
    torchvision()

    assert count("torchvision:fcn_resnet50", (1, 3, 64, 64)).complete


def test_building_draws_no_weights() -> None:
    """Counting a billion parameters takes less than 300 MiB."""
    resource = pytest.importorskip("resource")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    report = count(f"{NETS}:billion", (1, 4096))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before

    assert report.totals.params == 64 * 4096 * 4096 == 1_073_741_824
    # in KiB: the weights would take 4 GiB
    assert grown < 300 * 1024


def test_tensors_computed_from_weights_are_not_filled() -> None:
    """Weights that are drawn, scaled and halved stay unfilled; they would take 2 GiB and 1 GiB."""
    resource = pytest.importorskip("resource")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    report = count(f"{NETS}:scaled", (1, 4096))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before

    assert (report.totals.params, report.dtype, report.notes) == (32 * 4096 * 4096, "float16", ())
    assert grown < 300 * 1024


def test_drawing_until_weights_are_acceptable_ends() -> None:
    """A factory that redraws weights until they are acceptable terminates for any memory content."""
    ran = launch("report", f"{NETS}:truncated", "--input", "1,300", MALLOC_PERTURB_="129")

    assert ran.returncode == 0
    assert "note:" not in ran.stdout


def outdated() -> nn.Module:
    """Return a module, with a warning."""
    warnings.warn("this factory will be removed", DeprecationWarning, stacklevel=1)
    return nn.ReLU()


def test_warnings_of_a_factory_are_shown() -> None:
    """A warning of the code that makes a module reaches the user."""
    with pytest.warns(DeprecationWarning, match="this factory will be removed"):
        count(f"{__file__}:outdated", (1, 2))


def test_building_leaves_the_random_state() -> None:
    """Building with or without weights leaves torch's random state unchanged."""
    torchvision()
    state = torch.get_rng_state()
    count("torchvision:squeezenet1_0")
    count("torchvision:squeezenet1_0", real=True, resolution=64)

    assert torch.equal(state, torch.get_rng_state())


def test_constants_keep_their_values_without_weights() -> None:
    """Buffers and small tensors hold the values that the factory gives them."""
    module = resolve(f"{NETS}:constants", (1, 3)).module

    assert torch.equal(module.get_buffer("steps"), torch.arange(5))
    assert torch.equal(module.get_parameter("ones"), torch.ones(7))


def test_a_factory_that_reads_its_weights_gets_them() -> None:
    """If building without weights fails, the weights are filled and a note says why."""
    report = count(f"{NETS}:looks_at_weights", (1, 300))

    assert report.notes == (
        "built with weights, because building without them failed: ValueError: these are no weights",
    )


def test_weights_transposed_in_place() -> None:
    """In-place changes of shape apply to unfilled tensors."""
    report = count(f"{NETS}:turned", (1, 512))

    assert (report.totals.macs, report.notes) == (512 * 256, ())


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "vit_b_32"])
def test_a_module_without_weights_is_the_same_network(name: str) -> None:
    """A module without weights has the parameters, buffers and operators of the ordinary one."""
    models = torchvision().models
    ordinary = models.get_model(name, weights=None)
    built = resolve(f"torchvision:{name}").module

    shapes = [{k: v.shape for k, v in module.state_dict().items()} for module in (ordinary, built)]
    assert shapes[0] == shapes[1]
    assert [row.op for row in count(ordinary, (1, 3, 224, 224)).rows] == [
        row.op for row in count(built, (1, 3, 224, 224)).rows
    ]


@pytest.mark.slow
def test_other_packages_at_the_command_line() -> None:
    """The command line reports models of other packages."""
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
    assert "transformers:BertConfig@num_hidden_layers=1, input 1x8" in typed.stdout
    assert '"input": [\n    [\n      2,\n      3,\n      64,\n      64' in batch.stdout


class TestStates:
    """The operators do not depend on the state of the model or the caller."""

    @staticmethod
    def network() -> nn.Module:
        """A network with convolution, batch norm, dropout and attention."""
        return nn.Sequential(
            nn.Conv2d(3, 8, 3),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Dropout(),
            nn.Flatten(2),
            nn.TransformerEncoderLayer(36, 4, 16, batch_first=True),
        )

    def test_modes_of_the_caller(self) -> None:
        """Gradient mode, autocast and training mode of the caller change no operator."""
        net = self.network()
        expected = [row.op for row in count(net, (2, 3, 8, 8)).rows]
        for context in (torch.no_grad(), torch.inference_mode(), torch.enable_grad(), torch.autocast("cpu")):
            with context:
                assert expected == [row.op for row in count(net.train(), (2, 3, 8, 8)).rows]
                assert expected == [row.op for row in count(net.eval(), (2, 3, 8, 8)).rows]

    def test_parameters_on_meta_and_in_half_precision(self) -> None:
        """The device and element type of the weights change no operator."""
        expected = [row.op for row in count(self.network(), (2, 3, 8, 8)).rows]

        assert expected == [row.op for row in count(self.network().to("meta"), (2, 3, 8, 8)).rows]
        half = count(self.network().half(), (2, 3, 8, 8))
        assert expected == [row.op for row in half.rows]
        assert half.dtype == "float16"

    def test_compiled_modules(self) -> None:
        """A compiled module has the operators of the original."""
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
        """Parametrised weights count the parameters of both parts."""
        from torch.nn.utils import parametrizations

        weight = count(parametrizations.weight_norm(nn.Conv2d(3, 4, 3)), (1, 3, 8, 8))
        spectral = count(parametrizations.spectral_norm(nn.Linear(3, 4)), (1, 3))

        # a magnitude for each of 4 filters
        assert weight.totals.params == 4 * 27 + 4 + 4
        assert weight.complete
        assert spectral.totals.params == 12 + 4
        assert spectral.complete

    def test_subclasses_and_children_called_by_forward(self) -> None:
        """A subclass of a layer counts as that layer, at the path of the child whose forward runs."""

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


def test_tensors_that_a_forward_caches_work_afterwards() -> None:
    """A constant that the forward caches during the count works with gradients afterwards."""

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
        ((1, 3, 8, 8), {}, r"write an input as a shape in parentheses, such as \(1, 3, 8, 8\)"),
        ((), {"kwargs": 3}, "kwargs must be a dict of the forward's keyword arguments, not 3"),
        ((), {"kwargs": {1: 3}}, "kwargs must be a dict of the forward's keyword arguments, not {1: 3}"),
        (
            ((1, -3),),
            {},
            r"input 1 must be a shape of whole numbers above 0, not \(1, -3\): give a tuple that",
        ),
        (((1, 3), (0,)), {}, r"input 2 must be a shape of whole numbers above 0, not \(0,\)"),
        ((5,), {}, r"write an input as a shape in parentheses, such as \(5,\); kwargs takes numbers"),
        (([1, 3, 8, 8],), {}, r"write a shape as 1,3,8,8, or as \(1, 3, 8, 8\) in Python, instead of \["),
        (((1, 3, 4.5, 4.5),), {}, r"an input shape must be whole numbers above 0, not \(1, 3, 4\.5, 4\.5\)"),
        ((("1", "3"),), {}, r"an input shape must be whole numbers above 0, not \('1', '3'\)"),
    ],
)
def test_invalid_inputs(inputs: tuple[Any, ...], options: dict[str, Any], message: str) -> None:
    """An input that is not a shape or tensor raises InputError."""
    with pytest.raises(InputError, match=message):
        count(nn.ReLU(), *inputs, **options)


def test_a_published_input_follows_the_options() -> None:
    """A published input follows the options for channels and image size."""
    timm()

    assert resolve("timm:resnet18", in_chans=1).inputs == ((1, 1, 224, 224),)
    assert resolve("timm:vit_tiny_patch16_224", img_size=384).inputs == ((1, 3, 384, 384),)
    with pytest.raises(InputError, match=r"resolution must be a whole number from 1 to .*, not 0"):
        resolve("timm:resnet18", resolution=0)
    with pytest.raises(SourceError, match=r"^timm:resnet18\.bogus: Invalid pretrained tag"):
        resolve("timm:resnet18.bogus")


def test_strict_fails_on_uncounted_operators() -> None:
    """--strict exits with 1 for an uncounted operator."""
    strict = launch("report", f"{NETS}:strange", "--input", "2,3", "--strict")
    complete = launch("report", f"{NETS}:small", "--input", "1,3,8,8", "--strict")

    assert (strict.returncode, complete.returncode) == (1, 0)
    assert "aten::special_bessel_j0" in strict.stdout


def test_control_flow_on_values() -> None:
    """Control flow that depends on values runs on values; --no-real forbids it, and its error says what to do."""
    stopped = launch("report", f"{NETS}:picky", "--input", "2,3", "--no-real")
    runs = [launch("report", f"{NETS}:picky", "--input", "2,3", *more) for more in ((), ("--real",))]

    assert (stopped.returncode, stopped.stdout) == (2, "")
    assert "in module '1'" in stopped.stderr
    assert "--real runs on values" in stopped.stderr
    assert [run.returncode for run in runs] == [0, 0]
    assert "note: run on real tensors, because" in runs[0].stdout
    assert "note: run on real tensors\n" in runs[1].stdout


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    """A file that changes within a second to the same size is read again, and no bytecode is written."""
    file = tmp_path / "net.py"
    for width in (10, 11):
        file.write_text(f"from torch import nn\n\ndef build():\n    return nn.Linear(3, {width})\n")
        os.utime(file, (1_000_000_000, 1_000_000_000))

        assert count(f"{file}:build", (1, 3)).totals.params == 4 * width
    assert list(tmp_path.iterdir()) == [file]


def test_nearest_names() -> None:
    """One near name is singular, and without a near name all known ones are listed."""
    with pytest.raises(SourceError, match="unknown model 'vgg': nearest is vgg16;"):
        count("vgg")
    with pytest.raises(SourceError, match="unknown model '~': known are mobilenet_v1, mobilenet_v2, "):
        count("~")


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"mode": "trian"}, ChoiceError, "unknown mode 'trian': choose one of eval, train"),
        ({"trace": "yes"}, OptionError, "trace must be True or False, not 'yes'"),
        ({"real": "no"}, OptionError, "real must be True or False, not 'no'"),
        ({"keep": None}, OptionError, "keep must be True or False, not None"),
        ({"shortcuts": "off"}, OptionError, "shortcuts must be True or False, not 'off'"),
    ],
)
def test_a_malformed_setting_is_refused(
    settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    """A misspelt mode does not count in eval mode, and the text "no" does not mean True."""
    with pytest.raises(error, match=message):
        count("alexnet", **settings)
