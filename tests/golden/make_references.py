"""What independent public implementations answer, for weights computed from the names of their layers.

Needed only to make references.json anew, in an environment of its own:

    pip install torch torchvision timm pytorchcv pretrainedmodels
    PYTHONPATH=tests python tests/golden/make_references.py [NETWORK...]

Our layers have the names of the reference's modules with "_" for ".", so both sides compute the same
weights, and `tests/tf/test_references.py` holds our answers against those written here.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from named_weights import named_input, named_weight, sampled
from pytorchcv.models import densenet_cifar

OUT = Path(__file__).with_name("references.json")


@dataclasses.dataclass(frozen=True)
class Source:
    """A reference implementation.

    Attributes:
        package, name: what it is, for the record.
        make: makes it.
        input: (H, W, C) of the image it is asked about.
        options: of our builder, beside input and logits, to be the same network.
        rename: from a module's name to our layer's, where it is not `.` → `_`.
        flat: layer after a flattening → (C, H, W) that is flattened; Keras flattens (H, W, C).
    """

    package: str
    name: str
    make: Callable[[], torch.nn.Module]
    input: tuple[int, int, int]
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    rename: Callable[[str], str] = lambda name: name.replace(".", "_")
    flat: dict[str, tuple[int, int, int]] = dataclasses.field(default_factory=dict)


def _vgg(name: str) -> str:
    """torchvision numbers the layers of `features` and `classifier`."""
    part, _, number = name.partition(".")
    if part == "classifier":
        return {"0": "fc1", "3": "fc2", "6": "predictions"}[number]
    names = _VGG11_BN if part == "features" else {}
    return names[int(number)]


_VGG11_BN = {
    number: f"block{block}_conv{conv}{suffix}"
    for first, block, conv in [
        (0, 1, 1), (4, 2, 1), (8, 3, 1), (11, 3, 2), (15, 4, 1), (18, 4, 2), (22, 5, 1), (25, 5, 2)
    ]
    for number, suffix in ((first, ""), (first + 1, "_bn"))
}  # fmt: skip


def _densenet(name: str) -> str:
    """keras.applications' names of torchvision's modules."""
    fixed = {"features.conv0": "conv1_conv", "features.norm0": "conv1_bn", "features.norm5": "bn"}
    if name in fixed or name == "classifier":
        return fixed.get(name, "predictions")
    _, block, *layer, part = name.split(".")
    if not layer:  # features.transition1.norm
        return f"pool{int(block[-1]) + 1}_{'bn' if part == 'norm' else 'conv'}"
    number = int(part[-1]) - 1 if part.startswith("norm") else int(part[-1])
    kind = "bn" if part.startswith("norm") else "conv"
    return f"conv{int(block[-1]) + 1}_block{layer[0].removeprefix('denselayer')}_{number}_{kind}"


def _cifar_densenet(name: str) -> str:
    """keras.applications' names of pytorchcv's modules."""
    fixed = {"features.init_block": "conv1_conv", "features.post_activ.bn": "bn", "output": "predictions"}
    if name in fixed:
        return fixed[name]
    _, stage, unit, conv, kind = name.split(".")
    if unit.startswith("trans"):
        return f"pool{stage[-1]}_{kind}"
    number = int(conv.removeprefix("conv") or "1")
    return f"conv{int(stage[-1]) + 1}_block{unit.removeprefix('unit')}_{number - (kind == 'bn')}_{kind}"


def _densenet40() -> torch.nn.Module:
    """pytorchcv's layers as in the paper: 16 channels first, and transitions that keep all channels."""
    net = densenet_cifar.CIFARDenseNet([[16 + 144 * s + 12 * u for u in range(1, 13)] for s in range(3)], 16, False)
    channels = 16 + 144
    for stage in (net.features.stage2, net.features.stage3):
        stage[0] = densenet_cifar.TransitionBlock(channels, channels)
        for unit in range(1, 13):
            stage[unit] = densenet_cifar.DenseSimpleUnit(channels, channels + 12, 0.0)
            channels += 12
    net.features.post_activ = densenet_cifar.PreResActivation(channels)
    net.output = torch.nn.Linear(channels, 10)
    return net


_models = torchvision.models
SOURCES: dict[str, Source] = {
    "densenet40": Source("pytorchcv", "CIFARDenseNet", _densenet40, (32, 32, 3), {}, _cifar_densenet),
    "densenet100_bc": Source(
        "pytorchcv",
        "densenet100_k12_bc_cifar10",
        densenet_cifar.densenet100_k12_bc_cifar10,
        (32, 32, 3),
        {},
        _cifar_densenet,
    ),
    "densenet264": Source(
        "torchvision",
        "DenseNet(32, (6, 12, 64, 48), 64)",
        lambda: _models.DenseNet(32, (6, 12, 64, 48), 64),
        (101, 128, 3),
        {},
        _densenet,
    ),
    "vgg11": Source(
        "torchvision", "vgg11_bn", _models.vgg11_bn, (224, 224, 3), {"batch_norm": True}, _vgg, {"fc1": (512, 7, 7)}
    ),
}


def pour(model: torch.nn.Module, source: Source) -> None:
    """Give every layer of `model` the weights of its name."""
    for name, module in model.named_modules():
        own = dict(module.named_parameters(recurse=False)) | dict(module.named_buffers(recurse=False))
        if not own:
            continue
        layer = source.rename(name)
        for key, tensor in own.items():
            if key != "num_batches_tracked":
                tensor.data.copy_(torch.from_numpy(_weight(module, layer, key, source)))


def _weight(module: torch.nn.Module, layer: str, key: str, source: Source) -> np.ndarray:
    """The weight `key` of a torch module, in torch's shape."""
    shape = tuple(getattr(module, key).shape)
    if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
        kind = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}[key]
        return named_weight(layer, kind, shape)
    if key == "bias":
        return named_weight(layer, "bias", shape)
    if isinstance(module, torch.nn.Linear):
        kernel = named_weight(layer, "kernel", shape[::-1])  # (in, out)
        if layer in source.flat:
            c, h, w = source.flat[layer]
            kernel = kernel.reshape(h, w, c, -1).transpose(2, 0, 1, 3).reshape(shape[::-1])
        return kernel.T
    if isinstance(module, torch.nn.Conv2d):
        out, inner, h, w = shape
        if module.groups == module.in_channels == out:
            return named_weight(layer, "kernel", (h, w, out, 1)).transpose(2, 3, 0, 1)
        return named_weight(layer, "kernel", (h, w, inner, out)).transpose(3, 2, 0, 1)
    raise TypeError(f"{layer}: {type(module).__name__}")


def answer(source: Source) -> dict[str, Any]:
    """The entry of references.json."""
    model = source.make().eval()
    pour(model, source)
    image = torch.from_numpy(named_input(source.input).transpose(0, 3, 1, 2))
    with torch.no_grad():
        outputs = model(image).numpy()
    if outputs.ndim == 4:
        outputs = outputs.transpose(0, 2, 3, 1)
    return {
        "source": f"{source.package} {version(source.package)} {source.name}",
        "input": list(source.input),
        "options": source.options,
        "outputs": [float(f"{value:.9g}") for value in sampled(outputs)],
    }


def main(names: list[str]) -> None:
    """Write the answers of the networks named, or of all."""
    answers = json.loads(OUT.read_text()) if OUT.exists() else {}
    for name in names or SOURCES:
        answers[name] = answer(SOURCES[name])
        print(name, answers[name]["source"], answers[name]["outputs"][:3])
    lines = [f"{json.dumps(name)}: {json.dumps(answers[name])}" for name in sorted(answers)]
    OUT.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
