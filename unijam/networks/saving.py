"""How a `Network` is saved: everything but the code of its module, which must be given again for loading."""

import copy
from functools import cached_property
from typing import Any

import torch
from torch import nn

from ..core.potentials import Held
from ..core.saving import saved_by
from ..support.validation import require
from .network import Network

REBUILT = {
    "function",
    "initial",
    "inputs",
    "labels",
    "potential",
    "margin",
    "memory_limit",
    "dense_limit",
    "kinks",
}


def _take_apart(network: Network) -> dict[str, Any]:
    module, potential = network.module, network.potential
    held = {
        name: value
        for name, value in vars(network).items()
        if name not in REBUILT and name != "_made_of" and not _is_cached(type(network), name)
    }
    return {
        "module": type(module).__name__,
        "state": dict(module.state_dict()),
        "trained": [name for name, p in module.named_parameters() if p.requires_grad],
        "training": {name: part.training for name, part in module.named_modules()},
        "initial": network.initial,
        "inputs": network.inputs,
        "labels": network.labels,
        "potential": potential.base if isinstance(potential, Held) else potential,
        "margin": network.margin,
        "memory_limit": network.memory_limit,
        "dense_limit": network.dense_limit,
        "kinks": network.kinks,
        "more": held,
    }


def _is_cached(kind: type, name: str) -> bool:
    return isinstance(getattr(kind, name, None), cached_property)


def _make(kind: type[Network], parts: dict[str, Any], module: Any) -> Network:
    wanted = f"the {parts['module']} of the Network in this file: load(path, module=…)"
    require(isinstance(module, nn.Module), "module", module, wanted)
    module = copy.deepcopy(module)
    for name, p in module.named_parameters():
        p.requires_grad_(name in parts["trained"])
    for name, part in module.named_modules():
        part.training = parts["training"].get(name, part.training)
    initial = parts["initial"]
    module.to(initial.dtype).to(initial.device)
    shapes = [{k: tuple(v.shape) for k, v in s.items()} for s in (module.state_dict(), parts["state"])]
    odd = sorted(k for k in shapes[0].keys() | shapes[1].keys() if shapes[0].get(k) != shapes[1].get(k))
    require(not odd, "module", f"another {type(module).__name__} ({', '.join(odd[:3])})", wanted)
    module.load_state_dict(parts["state"])
    network = kind.__new__(kind)
    Network.__init__(
        network,
        module,
        parts["inputs"],
        parts["labels"],
        parts["potential"],
        parts["margin"],
        memory_limit=parts["memory_limit"],
        dense_limit=parts["dense_limit"],
        dtype="float32" if initial.dtype == torch.float32 else "float64",
    )
    network = network.at(initial=initial)
    if parts["kinks"] is not None:
        network = network.at(kinks=parts["kinks"])
    for name, value in parts["more"].items():
        setattr(network, name, value)
    return network


saved_by(Network, _take_apart, _make)
