"""What independent public implementations answer, for weights computed from the names of their layers.

Needed only to make references.json anew, in an environment of its own:

    pip install torch torchvision timm pytorchcv pretrainedmodels six
    PYTHONPATH=tests python tests/golden/make_references.py [NETWORK...]

Our layers have the names of the reference's modules with "_" for ".", so both sides compute the same
weights, and `tests/tf/test_references.py` holds our answers against those written here.
"""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import timm
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


def _resnet_keras(name: str) -> str:
    """keras.applications counts stages from 2, blocks and convolutions from 1, and has the shortcut as number 0."""
    parts = name.split(".")
    if len(parts) == 1:
        return {"conv1": "conv1_conv", "bn1": "conv1_bn", "fc": "predictions"}[name]
    stage, block, kind = int(parts[0][-1]) + 1, int(parts[1]) + 1, parts[2]
    here = ("0_conv", "0_bn")[int(parts[3])] if kind == "downsample" else f"{kind[-1]}_{kind[:-1]}"
    return f"conv{stage}_block{block}_{here}"


def _resnext_cifar(name: str) -> str:
    """The names that torchvision would give to the modules of pytorchcv."""
    if name.startswith("features.init_block"):
        return {"conv": "conv1", "bn": "bn1"}[name.rpartition(".")[2]]
    if name == "output":
        return "fc"
    _, stage, unit, *inner = name.split(".")
    here = f"layer{stage[-1]}_{int(unit[-1]) - 1}"
    if inner[0] == "identity_conv":
        return f"{here}_downsample_{('conv', 'bn').index(inner[1])}"
    return f"{here}_{inner[2]}{inner[1][-1]}"


def _resnext29() -> torch.nn.Module:
    from pytorchcv.models.resnext_cifar import get_resnext_cifar

    return get_resnext_cifar(num_classes=10, blocks=29, cardinality=8, bottleneck_width=64)


def _timm(name: str) -> Callable[[], torch.nn.Module]:
    def make() -> torch.nn.Module:
        import timm

        return timm.create_model(name)

    return make


_ODD_AND_EVEN = (97, 70, 3)  # 49, 25, 13, 7, 4 and 35, 18, 9, 5, 3: both are halved in every stage
_V1_5 = {"variant": "v1.5"}


def _inception_resnet_v1_trunk() -> torch.nn.Module:
    """pytorchcv's, without its pooling and the bottleneck that FaceNet has before the classifier."""
    import pytorchcv.models.inceptionresnetv1

    features = pytorchcv.models.inceptionresnetv1.inceptionresnetv1().features
    del features.final_pool
    return features


def _bninception() -> torch.nn.Module:
    import pretrainedmodels  # needs six and does not say so

    return pretrainedmodels.bninception(pretrained=None)


def _inception_resnet(name: str) -> str:
    """pytorchcv counts units in a stage; the first of the second and third is a reduction."""
    suffix = "_bn" if name.endswith(".bn") else ""
    if stem := re.match(r"init_block\.conv(\d)", name):
        return f"conv_{('1a', '2a', '2b', '3b', '4a', '4b')[int(stem[1]) - 1]}{suffix}"
    stage, unit, rest = re.fullmatch(r"stage(\d)\.unit(\d+)\.(.+)", name).groups()
    if stage == "1":
        block = f"block35_{unit}"
    elif unit == "1":
        block = {"2": "mixed_6a", "3": "mixed_7a"}[stage]
    else:
        block = f"{({'2': 'block17', '3': 'block8'})[stage]}_{int(unit) - 1}"
    if rest == "conv":
        return f"{block}_conv"
    number, step = re.fullmatch(r"branches\.branch(\d)\.(?:conv_list\.conv(\d)|conv)\.(?:conv|bn)", rest).groups()
    return f"{block}_branch{int(number) - 1}_{int(step or 1) - 1}{suffix}"


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
    "inception_resnet_v1": Source(
        "pytorchcv",
        "inceptionresnetv1 features",
        _inception_resnet_v1_trunk,
        (144, 139, 3),
        {"include_top": False},
        _inception_resnet,
    ),
    "inception_v1_bn": Source(
        "torchvision",
        "googlenet",
        lambda: _models.googlenet(aux_logits=False, init_weights=False, transform_input=False),
        (203, 224, 3),
    ),
    "inception_v2": Source("pretrainedmodels", "bninception", _bninception, (227, 226, 3)),
    "inception_v4": Source("timm", "inception_v4", lambda: timm.create_model("inception_v4"), (144, 139, 3)),
    "vgg11": Source(
        "torchvision", "vgg11_bn", _models.vgg11_bn, (224, 224, 3), {"batch_norm": True}, _vgg, {"fc1": (512, 7, 7)}
    ),
    "alexnet_single_column": Source(
        "torchvision", "alexnet", _models.alexnet, (224, 224, 3), flat={"classifier_1": (256, 6, 6)}
    ),
    "resnet18": Source("torchvision", "resnet18", _models.resnet18, _ODD_AND_EVEN),
    "resnet34": Source("torchvision", "resnet34", _models.resnet34, _ODD_AND_EVEN),
    "resnet50": Source("torchvision", "resnet50", _models.resnet50, _ODD_AND_EVEN, _V1_5, _resnet_keras),
    "resnet101": Source("torchvision", "resnet101", _models.resnet101, _ODD_AND_EVEN, _V1_5, _resnet_keras),
    "resnet152": Source("torchvision", "resnet152", _models.resnet152, _ODD_AND_EVEN, _V1_5, _resnet_keras),
    "resnext50_32x4d": Source("torchvision", "resnext50_32x4d", _models.resnext50_32x4d, _ODD_AND_EVEN),
    "resnext101_32x4d": Source("timm", "resnext101_32x4d", _timm("resnext101_32x4d"), _ODD_AND_EVEN),
    "resnext101_32x8d": Source("torchvision", "resnext101_32x8d", _models.resnext101_32x8d, _ODD_AND_EVEN),
    "resnext101_64x4d": Source("torchvision", "resnext101_64x4d", _models.resnext101_64x4d, _ODD_AND_EVEN),
    "resnext29_8x64d": Source(
        "pytorchcv", "get_resnext_cifar(29, 8, 64)", _resnext29, (32, 32, 3), rename=_resnext_cifar
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
