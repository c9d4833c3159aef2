"""An import hook that defines the operators that torchvision needs at import.

Commands are measured with this folder on their path if torchvision's compiled extension does not load with this
torch. Without an import of torchvision, the hook does nothing.
"""

# ruff: noqa: INP001 (Python looks for this file on its path)

from __future__ import annotations

import sys


class _BeforeTorchvision:
    """A finder that finds nothing, and defines the operators before torchvision is looked for."""

    def find_spec(self, name: str, *_: object) -> None:
        """Define the operators if `name` is torchvision."""
        if name == "torchvision":
            sys.meta_path.remove(self)
            import torch

            torch.library.define(
                "torchvision::nms", "(Tensor dets, Tensor scores, float threshold) -> Tensor"
            )
            torch.library.define("torchvision::qnms", "(Tensor a) -> Tensor")


sys.meta_path.insert(0, _BeforeTorchvision())
