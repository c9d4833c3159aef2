"""Modules that people have, counted without settings."""

from __future__ import annotations

import copy
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from field_cases import CASES, Decoder, Keys
from packaging.version import Version

from mbanalyze import count

WAYS = [(name, way) for name, case in CASES.items() for way in case.ways]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")
@pytest.mark.parametrize(("name", "way"), WAYS, ids=str)
def test_a_module_of_the_field(name: str, way: Mapping[str, Any]) -> None:
    """Each module has its right counts in every way of counting, and every operator is counted."""
    case = CASES[name]
    inputs, keywords = copy.deepcopy((case.inputs, dict(case.keywords)))
    report = count(case.make, *inputs, kwargs=keywords, **way)

    assert {count: getattr(report.totals, count) for count in case.right} == case.right
    assert (report.uncounted, report.unseen, report.unused_params) == ((), (), ())


def test_a_cache_goes_on_being_used() -> None:
    """A cache that is handed in has its old length afterwards, and the next real step works."""
    model, cache = Decoder(), Keys(16)
    count(model, torch.zeros(1, 1, 8), cache)

    assert cache.keys.shape == (1, 16, 8)
    assert model(torch.zeros(1, 1, 8), cache).shape == (1, 1, 8)
    assert cache.keys.shape == (1, 17, 8)


def test_automatic_values_are_noted() -> None:
    """A report that ran on values says so, and names the operator that needed them."""
    report = count(CASES["classes"].make, *CASES["classes"].inputs)

    assert report.real
    assert report.notes == ("run on real tensors, because aten::_unique2 needs the values of a tensor",)
    assert not count(CASES["losses"].make, *CASES["losses"].inputs).real


SHARDED = """
import os, torch, warnings
from torch import nn
import torch.distributed as dist
warnings.simplefilter("ignore")
os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT="0")
dist.init_process_group("gloo", rank=0, world_size=1, store=dist.HashStore())
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from mbanalyze import count
model = nn.Sequential(nn.Linear(8, 4), nn.ReLU())
fully_shard(model, mesh=init_device_mesh("cpu", (1,)))
report = count(model, (2, 8))
print(report.totals.macs, report.totals.params, report.unused_params, report.complete)
"""


@pytest.mark.slow
@pytest.mark.skipif(
    Version(torch.__version__) < Version("2.9"), reason="older releases gather by operators of their own"
)
def test_a_sharded_module() -> None:
    """A module under `fully_shard` has the parameters that its forward gathers."""
    ran = subprocess.run([sys.executable, "-c", SHARDED], capture_output=True, text=True, check=False)

    # PyTorch 2.9 prints the number of connected ranks too
    assert "64 36 () True" in ran.stdout.splitlines(), ran.stderr
