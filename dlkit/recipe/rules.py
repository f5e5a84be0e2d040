"""What the parts of a recipe must be to each other, and what one of them decides of another."""

from __future__ import annotations

import dataclasses
from typing import Any

from dlkit.datasets import DATASETS, Dataset
from dlkit.errors import RecipeError, suggestion
from dlkit.networks import NETWORKS, Network
from dlkit.reading import read_arguments
from dlkit.recipe.export_parts import MeasurePart
from dlkit.recipe.opening import opened, read_data_options, shape_for
from dlkit.recipe.parts import (
    NOT_DIFFERENTIABLE,
    OF_SOUNDS,
    AdversarialPart,
    AugmentationPart,
    Recipe,
    TrainingPart,
    TransferPart,
)
from dlkit.runtime.front_end import FrontEnd
from dlkit.schemes import SCHEMES
from dlkit.targets import read_target

TRAINED = ("classification", "forecasting", "reconstruction", "generation")
"""Tasks of networks that a recipe trains."""
LATENT = 32
"""Numbers of noise that are proposed beside the classes."""
LOSSES: dict[str, dict[str, str]] = {
    "mse": {},
    "mae": {"reconstruction": "auto-encoders", "forecasting": "forecasters"},
    "binary_crossentropy": {"reconstruction": "auto-encoders"},
}
"""Loss → tasks that it is for, and what their networks are called; the first is the default of all."""


def completed(recipe: Recipe, where: str) -> Recipe:
    """The recipe with those options of its network that its dataset decides.

    A source is opened only if the recipe does not state them: one that was stored does, and is read where the
    data are not. Whether it and the data agree is then checked when they are loaded.

    Raises:
        RecipeError: parts do not fit each other.
        UnknownName: a network, dataset, scheme or target is not on its shelf.
        DataError: the data are not where the recipe says, or are not good.
    """
    network, entry = NETWORKS[recipe.network.name], DATASETS[recipe.data.name]
    if network.task not in TRAINED:
        raise RecipeError(f"{where}: network.name = {network.name!r} is for {network.task}, which no recipe trains")
    read_data_options(recipe.data, where)
    if isinstance(entry, Dataset) or not _states_what_data_decide(recipe, network):
        recipe = agreeing(recipe, opened(recipe, where), where)
    options = recipe.network.options
    read_arguments(network.builder, options, where, "network.options")
    _check_task(recipe, network, where)
    if recipe.transfer.frozen_epochs >= recipe.training.epochs:
        raise RecipeError(
            f"{where}: transfer.frozen_epochs = {recipe.transfer.frozen_epochs} must be less than "
            f"training.epochs = {recipe.training.epochs}"
        )
    if network.task == "generation":
        recipe = _with_discriminator(recipe, network, options["image_shape"], where)
    return _with_scheme(recipe, where)


def _with_scheme(recipe: Recipe, where: str) -> Recipe:
    """The recipe with the best scheme of its target where it names none. Raises RecipeError for one that it cannot run.

    The file of a target of one's own may be gone by the time that a recipe is read again, with a model that was
    trained by it; its scheme is in that recipe, and an export holds the two against each other.
    """
    wanted = recipe.export
    if wanted.scheme and wanted.target.endswith(".toml"):
        SCHEMES[wanted.scheme]
        return recipe
    target = read_target(wanted.target)
    if not wanted.scheme:
        return dataclasses.replace(recipe, export=dataclasses.replace(wanted, scheme=target.schemes[0]))
    if SCHEMES[wanted.scheme].name not in target.schemes:
        raise RecipeError(
            f"{where}: export.target = {target.name!r} runs {', '.join(target.schemes)}; leave out "
            f"export.scheme for the first of them"
        )
    return recipe


def agreeing(recipe: Recipe, dataset: Dataset, where: str) -> Recipe:
    """The recipe with the options of its network that these data decide. Raises RecipeError if it says otherwise."""
    network = NETWORKS[recipe.network.name]
    _check_horizon(recipe, network, dataset, where)
    options = _options(recipe, network, dataset, where)
    _check_anomaly(recipe, network, dataset, where)
    _check_augmentation(recipe, options, dataset, where)
    if len(dataset.shape) == 3 and dataset.shape[2] not in (1, 3):
        raise RecipeError(
            f"{where}: {recipe.data.name} has images of shape {dataset.shape}; give 1 or 3 channels, last"
        )
    _check_range(recipe, network, dataset, where)
    if network.task == "classification" and dataset.classes < 2:
        raise RecipeError(
            f"{where}: {network.name} tells classes apart, and {recipe.data.name} has {dataset.classes}; "
            "give data of two classes at least, or choose an auto-encoder: dlkit list networks"
        )
    if recipe.export.calibration_samples < dataset.classes:
        least = f"at least {dataset.classes}, one of each class"
        raise RecipeError(f"{where}: export.calibration_samples = {recipe.export.calibration_samples} must be {least}")
    return dataclasses.replace(recipe, network=dataclasses.replace(recipe.network, options=options))


def _states_what_data_decide(recipe: Recipe, network: Network) -> bool:
    decided = {_of_images(network), *({"classes", "horizon"} & network.options.keys())}
    return decided <= recipe.network.options.keys()


def _of_images(network: Network) -> str:
    """The option that holds the shape of a sample."""
    return "image_shape" if network.task == "generation" else "input_shape"


def _check_horizon(recipe: Recipe, network: Network, dataset: Dataset, where: str) -> None:
    """Raise RecipeError unless a forecaster has a series to forecast, or where another network has one."""
    if network.task == "forecasting" and not dataset.horizon:
        raise RecipeError(
            f"{where}: {network.name} forecasts a series, and {recipe.data.name} is none; give one: "
            "data.name = 'series'"
        )
    if dataset.horizon and network.task != "forecasting":
        raise RecipeError(
            f"{where}: {recipe.data.name} is a series to forecast, and {network.name} forecasts nothing; choose a "
            "forecaster: dlkit list networks"
        )


def _check_range(recipe: Recipe, network: Network, dataset: Dataset, where: str) -> None:
    """Raise RecipeError where a preprocessing, noise or metric needs a fact that the data do not have."""
    mode = recipe.data.preprocessing
    if mode == "standard" and not dataset.statistics[0]:
        raise RecipeError(
            f"{where}: data.preprocessing = 'standard' takes statistics of each feature, and {recipe.data.name} has "
            "none; use 'unit' or 'signed'"
        )
    if dataset.is_bounded:
        return
    give = "give data.options.raw_range = [LOWEST, HIGHEST]"
    if mode not in ("standard", "none"):
        raise RecipeError(
            f"{where}: data.preprocessing = {mode!r} needs the smallest and largest raw value, which "
            f"{recipe.data.name} does not know; {give}, or use 'standard' or 'none'"
        )
    if recipe.augmentation.noise and network.task == "forecasting":
        raise RecipeError(f"{where}: augmentation.noise is a fraction of the range of raw values; {give}")
    if network.task not in ("classification", "forecasting"):
        raise RecipeError(f"{where}: {network.name} is judged by the range of raw values; {give}")


def _options(recipe: Recipe, network: Network, dataset: Dataset, where: str) -> dict[str, Any]:
    """The network's options, those that the dataset decides among them."""
    of_images = _of_images(network)
    wanted = network.options["image_shape"] if network.task == "generation" else network.input
    heard = dataset.sound is not None and network.task != "generation"
    shape = shape_for(wanted, dataset.shape, of_sounds=heard)
    if len(shape) != len(wanted):
        does = "makes images" if network.task == "generation" else "reads inputs"
        raise RecipeError(
            f"{where}: {network.name} {does} like {wanted}, and {recipe.data.name} has {dataset.shape}; "
            "choose another network: dlkit list networks"
        )
    options: dict[str, Any] = {of_images: list(shape)}
    if "classes" in network.options:
        options["classes"] = dataset.classes
    if dataset.horizon:
        options["horizon"] = dataset.horizon
    for name, value in recipe.network.options.items():
        if name == of_images and _fits(value, wanted, dataset.shape):
            continue
        if name in options and value != options[name]:
            fact = f"{recipe.data.name} has {options[name]!r}"
            again = ", or train again with these data" if dataset.kept == "yours" else ""
            raise RecipeError(f"{where}: network.options.{name} = {value!r}, but {fact}; leave it out{again}")
    return options | recipe.network.options


def _check_task(recipe: Recipe, network: Network, where: str) -> None:
    """Raise RecipeError for what the network's task does not have."""
    if network.task == "classification" and not network.gives_scores(recipe.network.options):
        raise RecipeError(f"{where}: network.options.include_top = false leaves nothing to train; leave it out")
    for key, value, default, task, those in (
        ("data.noise", recipe.data.noise, 0.0, "reconstruction", "auto-encoders"),
        ("training.label_smoothing", recipe.training.label_smoothing, 0.0, "classification", "classifiers"),
        ("training.class_weights", recipe.training.class_weights, "none", "classification", "classifiers"),
        ("training.with_validation", recipe.training.with_validation, False, "classification", "classifiers"),
        ("augmentation.mixup", recipe.augmentation.mixup, 0.0, "classification", "classifiers"),
        ("augmentation.cutmix", recipe.augmentation.cutmix, 0.0, "classification", "classifiers"),
        ("transfer", recipe.transfer, TransferPart(), "classification", "classifiers"),
        ("adversarial", recipe.adversarial, AdversarialPart(), "generation", "generators"),
        ("measure", recipe.measure, MeasurePart(), "generation", "generators"),
    ):
        if value != default and network.task != task:
            shown = "" if key in ("adversarial", "measure", "transfer") else f" = {value!r}"
            raise RecipeError(f"{where}: {key}{shown} is for {those}, and {network.name} is none; leave it out")
    loss, whose = recipe.training.loss, LOSSES[recipe.training.loss]
    if whose and network.task not in whose:
        those = " and ".join(whose.values())
        raise RecipeError(f"{where}: training.loss = {loss!r} is for {those}, and {network.name} is none; leave it out")


def _check_augmentation(recipe: Recipe, options: dict[str, Any], dataset: Dataset, where: str) -> None:
    """Raise RecipeError for changes that the samples do not allow."""
    part, default, of_images = recipe.augmentation, AugmentationPart(), len(dataset.shape) == 3
    if dataset.sound is not None:
        _check_changes_of_sounds(part, dataset.sound, where)
    elif asked := next((key for key in OF_SOUNDS if getattr(part, key)), ""):
        raise RecipeError(f"{where}: augmentation.{asked} is of sounds, and {recipe.data.name} has none; leave it out")
    if not of_images and dataclasses.replace(part.without_sounds, noise=0.0, mixup=0.0) != default:
        others = ["noise", "mixup", *(OF_SOUNDS if dataset.sound is not None else ())]
        kept = f"{', '.join(map(repr, others[:-1]))} and {others[-1]!r}"
        raise RecipeError(
            f"{where}: augmentation is of images, and {recipe.data.name} has none; leave all but {kept} out"
        )
    shape = options.get("image_shape", options.get("input_shape"))
    if of_images and shape is not None and tuple(shape)[-1] != 3 and (part.saturation or part.hue):
        raise RecipeError(
            f"{where}: augmentation.saturation and augmentation.hue are of images in colour, and "
            f"{recipe.network.name} has {shape[-1]} channel; leave them out"
        )
    if recipe.adversarial.differentiable_augmentation:
        _check_differentiable(part, where)


def _check_differentiable(part: AugmentationPart, where: str) -> None:
    """Raise RecipeError unless there are changes through which a generator can learn."""
    asked = f"{where}: adversarial.differentiable_augmentation makes the changes of [augmentation] to made images too"
    if part == AugmentationPart():
        raise RecipeError(f"{asked}, and there are none; give some, such as augmentation.shift = 0.125")
    if kept := next((key for key in NOT_DIFFERENTIABLE if getattr(part, key)), ""):
        raise RecipeError(f"{asked}, and TensorFlow has no right gradient of augmentation.{kept}; leave it out")


def _check_changes_of_sounds(part: AugmentationPart, sound: FrontEnd, where: str) -> None:
    """Raise RecipeError for changes that this front-end does not allow."""
    if part.time_shift >= sound.seconds:
        raise RecipeError(
            f"{where}: augmentation.time_shift = {part.time_shift:g} must be less than data.options.seconds = "
            f"{sound.seconds:g}; nothing of the sound would be left"
        )
    if part.frequency_mask and sound.features != "log_mel":
        raise RecipeError(
            f"{where}: augmentation.frequency_mask is of bands, and data.options.features = {sound.features!r} mixes "
            "them all in each feature; leave it out, or use 'log_mel'"
        )


def _check_anomaly(recipe: Recipe, network: Network, dataset: Dataset, where: str) -> None:
    """Raise RecipeError unless an anomaly detector has a normal class, others, and a network that can be one."""
    if recipe.anomaly is None:
        return
    if network.task != "reconstruction":
        raise RecipeError(f"{where}: anomaly is for auto-encoders, and {network.name} is none; leave it out")
    for name in recipe.anomaly.classes:
        if name not in dataset.labels:
            known = suggestion(name, dataset.labels)
            raise RecipeError(f"{where}: anomaly.normal = {name!r} is no class of {recipe.data.name}; {known}")
    if set(recipe.anomaly.classes) == set(dataset.labels):
        raise RecipeError(f"{where}: anomaly.normal names every class of {recipe.data.name}; leave out what is none")


def _with_discriminator(recipe: Recipe, network: Network, image_shape: list[int], where: str) -> Recipe:
    """The recipe of a generator with the options of its discriminator that the data decide.

    The discriminator of a generator that is told a class is told it too, by a plane for each after the image.
    """
    if recipe.measure.network and NETWORKS[recipe.measure.network].task != "classification":
        raise RecipeError(f"{where}: measure.network = {recipe.measure.network!r} is no classifier; name one that is")
    watched = TrainingPart(recipe.training.epochs)
    for key in ("keep", "patience", "precision"):
        value = getattr(recipe.training, key)
        if value != getattr(watched, key):
            raise RecipeError(f"{where}: training.{key} = {value!r} is not for generators; leave it out")
    if recipe.data.preprocessing != "signed":
        raise RecipeError(
            f"{where}: data.preprocessing = {recipe.data.preprocessing!r}, but {network.name} makes images "
            "from -1 to 1: 'signed'"
        )
    decided: dict[str, Any] = {"input_shape": image_shape}
    if network.is_conditional:
        classes = recipe.network.options["classes"]
        decided = {"input_shape": [*image_shape[:2], image_shape[2] + classes], "classes": classes}
        _check_latent(recipe, network, classes, where)
    options = decided | recipe.adversarial.options
    read_arguments(NETWORKS[discriminator_of(network.name)].builder, options, where, "adversarial.options")
    for name, value in (*decided.items(), ("activation", None)):
        if options.get(name) != value:
            raise RecipeError(f"{where}: adversarial.options.{name} is decided by the training; leave it out")
    return dataclasses.replace(recipe, adversarial=dataclasses.replace(recipe.adversarial, options=options))


def _check_latent(recipe: Recipe, network: Network, classes: int, where: str) -> None:
    """Raise RecipeError unless a generator that is told a class has classes, and numbers left for noise."""
    if classes < 2:
        raise RecipeError(
            f"{where}: {network.name} is told one of several classes, and {recipe.data.name} has {classes}; "
            f"use {network.name.removeprefix('conditional_').replace('dcgan_', 'dcgan28_')}"
        )
    numbers, *_ = recipe.network.options.get("input_shape", network.input)
    if numbers <= classes:
        raise RecipeError(
            f"{where}: network.options.input_shape = [{numbers}] leaves no noise beside {classes} classes; "
            f"give [{classes + LATENT}], of which {LATENT} are noise"
        )


def discriminator_of(generator: str) -> str:
    """The name of the discriminator that a generator of the shelf is trained against."""
    return generator.replace("_generator", "_discriminator")


def _fits(value: Any, wanted: tuple[int, ...], sample: tuple[int, ...]) -> bool:
    """Whether `value` is the shape of an image where network and samples are of images: those are resized."""
    if not len(wanted) == len(sample) == 3 or not isinstance(value, (list, tuple)) or len(value) != 3:
        return False
    return all(type(n) is int and n > 0 for n in value) and value[2] in (1, 3)
