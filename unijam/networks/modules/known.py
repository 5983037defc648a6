"""Refuses modules that cannot be a function of their parameters and one datum, by their type, before they are run."""

from typing import Any

import torch
from torch import nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from ...support.validation import require

FLOATS = {torch.float64, torch.float32}
DROPOUT = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)
NORMS = nn.modules.batchnorm._NormBase  # batch and instance normalisation
BATCH = nn.modules.batchnorm._BatchNorm


def require_known(module: Any) -> nn.Module:
    """The module (unwrapped from torch.compile).

    Raises
    ------
    ValueError
        One sentence: no module, a compiled script, parameters without shape or numbers or in another precision,
        batch normalisation or dropout in training mode.
    """
    require(isinstance(module, nn.Module), "module", _name(module), "a torch.nn.Module")
    script = isinstance(module, torch.jit.ScriptModule)
    require(not script, "module", _name(module), "the torch.nn.Module itself, not a compiled script of it")
    known: nn.Module = getattr(module, "_orig_mod", module)  # torch.compile keeps the module there
    for name, p in [*known.named_parameters(), *known.named_buffers()]:
        lazy = isinstance(p, UninitializedParameter | UninitializedBuffer)
        require(
            not lazy, f"the shape of {name}", "not known yet", "known: run the lazy module on some data first"
        )
        require(p.device.type != "meta", f"the device of {name}", "meta", "one that holds numbers")
    for name, p in known.named_parameters():
        require(p.dtype in FLOATS, f"the precision of {name}", str(p.dtype), "float64 or float32")
    for name, layer in known.named_modules():
        field = f"{type(layer).__name__} {name!r}"
        if isinstance(layer, BATCH):
            wanted = "there (track_running_stats=True): without it the layer couples the data of a batch"
            require(layer.running_mean is not None, f"the running_mean of {field}", None, wanted)
        if isinstance(layer, NORMS) and (isinstance(layer, BATCH) or layer.track_running_stats):
            wanted = "in eval mode: in training it couples the data of a batch"
            require(not layer.training, f"the mode of {field}", "train", wanted)
        if isinstance(layer, DROPOUT):
            wanted = "in eval mode, or p = 0: it makes Δ random"
            require(not layer.training or layer.p == 0, f"the mode of {field}", "train", wanted)
    return known


def _name(module: Any) -> str:
    return module.__name__ if isinstance(module, type) else type(module).__name__
