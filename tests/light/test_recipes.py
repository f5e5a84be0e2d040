"""Recipes: those in recipes/ read, and every mistake is one line with file and key."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dlkit.errors import RecipeError, UnknownName
from dlkit.networks import NETWORKS
from dlkit.recipe import different_keys, find_recipes, otherwise_trained, read_recipe, recipe_from
from dlkit.recipe.parts import NOT_DIFFERENTIABLE
from dlkit.recipe.rules import TRAINED

RECIPES = Path(__file__).parents[2] / "recipes"
GOOD = """
name = "good"
network = { name = "cnn" }
data = { name = "digits" }
training = { epochs = 1 }
"""


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """A small recipe that reads."""
    path = tmp_path / "good.toml"
    path.write_text(GOOD)
    return path


@pytest.mark.parametrize("name", find_recipes(RECIPES))
def test_a_recipe_of_ours_reads(name: str) -> None:
    """Its name is its file's, and its first line says what it is."""
    assert read_recipe(RECIPES / name).name == name.removesuffix(".toml")
    assert (RECIPES / name).read_text().startswith("# ")


@pytest.mark.parametrize("name", find_recipes(RECIPES))
def test_a_recipe_survives_being_stored(name: str) -> None:
    """What a bundle keeps of it reads back as the same recipe."""
    recipe = read_recipe(RECIPES / name)
    assert recipe_from(recipe.as_dict(), "stored") == recipe


def test_shape_and_classes_come_from_the_data(good: Path) -> None:
    """A recipe need not repeat what its dataset knows; an image becomes rows for a recurrent network."""
    assert read_recipe(good).network.options == {"input_shape": [8, 8, 1], "classes": 10}
    lstm = read_recipe(good, ["network.name=lstm"])
    assert lstm.network.options == {"input_shape": [8, 8], "classes": 10}


def test_overrides_are_read_before_the_recipe_is_checked(good: Path) -> None:
    """--set may repair a recipe as well as change it."""
    assert read_recipe(good, ["training.epochs=7", "seed=3"]).training.epochs == 7


BAD = [
    ("nme=x", "unknown key 'nme'; did you mean 'name'?"),
    ("training.epoch=1", "unknown key 'training.epoch'; did you mean 'epochs'?"),
    ("network.option.width=1", "unknown key 'network.option'; did you mean 'options'?"),
    ("network.options.wdith=1", "unknown key 'network.options.wdith'; did you mean 'width'?"),
    ("network.options.width=wide", "network.options.width = 'wide' is a string; it takes a whole number"),
    ("network.options.classes=5", "network.options.classes = 5, but digits has 10; leave it out"),
    ("network.options.input_shape=[9, 9, 4]", "input_shape = [9, 9, 4], but digits has [8, 8, 1]; leave it out"),
    ("network.options.input_shape=[9, 9]", "input_shape = [9, 9], but digits has [8, 8, 1]; leave it out"),
    ("network.options.include_top=false", "unknown key 'network.options.include_top'"),
    ("data.preprocessing=standard", "'standard' takes statistics of each feature, and digits has none; use 'unit'"),
    ("data.noise=2", "data.noise = 2.0 must be from 0 to 1"),
    ("data.noise=0.5", "data.noise = 0.5 is for auto-encoders, and cnn is none; leave it out"),
    (
        "training.loss=binary_crossentropy",
        "training.loss = 'binary_crossentropy' is for auto-encoders, and cnn is none",
    ),
    ("training.loss=bce", "training.loss = 'bce' is not one of them; known: binary_crossentropy, mae, mse"),
    ("network.name=dcgan_discriminator", "network.name = 'dcgan_discriminator' is for discrimination, which no recipe"),
    ("network.name=dcgan28_generator", "data.preprocessing = 'unit', but dcgan28_generator makes images from -1 to 1"),
    ("adversarial.ema=0.5", "adversarial is for generators, and cnn is none; leave it out"),
    ("adversarial.ema=1", "adversarial.ema = 1.0 must be from 0 to below 1"),
    ("adversarial.smoothing=-1", "adversarial.smoothing = -1.0 must be from 0 to below 1"),
    ("adversarial.gradient_penalty=nan", "adversarial.gradient_penalty = nan must be at least 0"),
    ("training.loss=mae", "training.loss = 'mae' is for auto-encoders and forecasters, and cnn is none; leave it out"),
    ("network.name=lstm_forecaster", "lstm_forecaster forecasts a series, and digits is none; give one: data.name ="),
    ("data.preprocessing=unti", "data.preprocessing = 'unti' is not one of them; did you mean 'unit'?"),
    ("data.resize=3", "data.resize = 3 is a whole number; it takes a string"),
    ("anomaly.normal=3", "anomaly is for auto-encoders, and cnn is none; leave it out"),
    ("anomaly.normal=[]", "anomaly.normal = () must be a class, or a list of at least one"),
    ("anomaly.false_alarms=0.1", "missing key 'anomaly.normal'"),
    ("training.epochs=0", "training.epochs = 0 must be at least 1"),
    ("training.epochs=1.5", "training.epochs = 1.5 is a number; it takes a whole number"),
    ("training.epochs=many", "training.epochs = 'many' is a string; it takes a whole number"),
    ("training.batch_size=-1", "training.batch_size = -1 must be at least 1"),
    ("training.learning_rate=nan", "training.learning_rate = nan must be above 0"),
    ("training.learning_rate=inf", "training.learning_rate = inf must be above 0"),
    ("training.learning_rate=0", "training.learning_rate = 0.0 must be above 0"),
    ("training.warmup=1", "training.warmup = 1.0 must be from 0 to below 1"),
    ("training.warmup=nan", "training.warmup = nan must be from 0 to below 1"),
    ("training.weight_decay=-1", "training.weight_decay = -1.0 must be at least 0"),
    ("training.label_smoothing=1", "training.label_smoothing = 1.0 must be from 0 to below 1"),
    ("training.optimizer=adamm", "training.optimizer = 'adamm' is not one of them; did you mean 'adam'"),
    ("training.schedule=step", "training.milestones = () must be given with schedule = 'step'"),
    ("training.milestones=[0.5]", "training.milestones = (0.5,) must be given with schedule = 'step'"),
    ("training.milestones=[0.5, 0.4]", "(0.5, 0.4) must be fractions of the training, rising, between 0 and 1"),
    ("training.patience=-1", "training.patience = -1 must be at least 0"),
    (
        "training={epochs = 1, with_validation = true, keep = 'best'}",
        "with_validation = True must be false where 'keep' or 'patience' go by the validation split",
    ),
    (
        "training={epochs = 1, with_validation = true, patience = 1}",
        "with_validation = True must be false where 'keep' or 'patience' go by the validation split",
    ),
    ("training.checkpoints=0", "training.checkpoints = 0 must be at least 1"),
    ("training.clip_norm=nan", "training.clip_norm = nan must be at least 0"),
    ("transfer.frozen_epochs=1", "transfer.frozen_epochs = 1 must be given with transfer.weights"),
    ("transfer={weights = 'imagenet', frozen_epochs = 1}", "transfer.frozen_epochs = 1 must be less than"),
    ("augmentation.hue=0.1", "augmentation.saturation and augmentation.hue are of images in colour, and cnn has 1"),
    ("augmentation.erasing=2", "augmentation.erasing = 2.0 must be from 0 to 1"),
    ("augmentation.flip=left", "augmentation.flip = 'left' is not one of them"),
    ("augmentation.shift=1", "augmentation.shift = 1.0 must be from 0 to below 1"),
    ("augmentation.zoom=nan", "augmentation.zoom = nan must be from 0 to below 1"),
    ("export.max_drop=nan", "export.max_drop = nan must be from 0 to 1"),
    ("export.max_drop=2", "export.max_drop = 2.0 must be from 0 to 1"),
    ("export.calibration_samples=0", "export.calibration_samples = 0 must be at least 1"),
    ("seed=-1", "seed = -1 must be from 0 to 4294967295"),
    ("seed=4294967296", "seed = 4294967296 must be from 0 to 4294967295"),
    ('name=""', "name = '' must be letters, digits, '-' and '_'"),
    ("name=../up", "name = '../up' must be letters, digits, '-' and '_'"),
    ("name=a b", "name = 'a b' must be letters, digits, '-' and '_'"),
    ("name=3", "name = 3 is a whole number; it takes a string"),
    ("network=cnn", "network = 'cnn' is a string; it takes a table"),
]


@pytest.mark.parametrize(("override", "message"), BAD, ids=[o for o, _ in BAD])
def test_a_bad_value_is_refused_by_file_and_key(good: Path, override: str, message: str) -> None:
    """One line that begins with the file and names the key and what was found."""
    with pytest.raises(RecipeError) as caught:
        read_recipe(good, [override])
    assert str(caught.value).startswith(f"{good}: ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("network.name=cnnn", "unknown network 'cnnn'; did you mean 'cnn'"),
        ("data.name=digit", "unknown dataset 'digit'; did you mean 'digits'?"),
        ("export.scheme=int9", "unknown scheme 'int9'; did you mean 'int8'?"),
        ("export.target=cpuu", "unknown target 'cpuu'; did you mean 'cpu'?"),
    ],
)
def test_an_unknown_name_is_refused_with_its_near_miss(good: Path, override: str, message: str) -> None:
    """Nothing is replaced by the nearest."""
    with pytest.raises(UnknownName, match=message.replace("?", r"\?")):
        read_recipe(good, [override])


@pytest.mark.parametrize("key", ["name", "network", "data", "training"])
def test_a_missing_key_is_refused(good: Path, key: str) -> None:
    """What has no default has to be said."""
    good.write_text("".join(line for line in GOOD.splitlines(keepends=True) if not line.startswith(key)))
    with pytest.raises(RecipeError, match=f"good.toml: missing key '{key}'"):
        read_recipe(good)


def test_a_missing_file_suggests_its_neighbours(good: Path) -> None:
    """The nearest file name in the same folder."""
    with pytest.raises(RecipeError, match=r"there is no recipe .*goood\.toml; did you mean 'good\.toml'\?"):
        read_recipe(good.with_name("goood.toml"))


def test_what_is_no_file_of_text_is_refused(good: Path) -> None:
    """A folder, bytes, a file used as a folder, a device without end."""
    (good.with_name("bytes.toml")).write_bytes(b"\xff\xfe\x00")
    for path, message in [
        (good.parent, "is a folder, not a recipe"),
        (good.with_name("bytes.toml"), "is not a text file"),
        (good / "below.toml", "Not a directory"),
        (Path("/dev/zero"), "File too large"),
        (good.with_name("x" * 300 + ".toml"), "File name too long"),
    ]:
        with pytest.raises(RecipeError, match=message):
            read_recipe(path)


def test_fewer_calibration_samples_than_classes_are_refused(tmp_path: Path) -> None:
    """Some class would never be seen."""
    text = (RECIPES / "digits-tiny.toml").read_text()
    (tmp_path / "few.toml").write_text(text.replace("calibration_samples = 300", "calibration_samples = 9"))
    with pytest.raises(RecipeError, match=r"export\.calibration_samples = 9 must be at least 10, one of each class"):
        read_recipe(tmp_path / "few.toml")


def test_different_keys_names_what_differs() -> None:
    """Dotted keys, but for those, and those of the tables, that may differ."""
    recipe = read_recipe(RECIPES / "digits-tiny.toml")
    other = read_recipe(RECIPES / "digits-tiny.toml", ["seed=5", "training.epochs=2", "export.max_drop=0.5"])
    assert different_keys(recipe, other) == ["export.max_drop", "seed", "training.epochs"]
    assert different_keys(recipe, other, ("export",)) == ["seed", "training.epochs"]
    assert different_keys(recipe, other, ("export", "training.epochs")) == ["seed"]
    assert different_keys(recipe, recipe) == []


def test_an_image_is_resized_for_the_network_that_asks_for_it(good: Path) -> None:
    """The size is the network's to choose; rows of an image are as many as they are."""
    larger = read_recipe(good, ["network.options.input_shape=[32, 32, 3]"])
    assert larger.network.options["input_shape"] == [32, 32, 3]
    with pytest.raises(RecipeError, match="digits has"):
        read_recipe(good, ["network.name=lstm", "network.options.input_shape=[16, 16]"])


def test_an_autoencoder_has_no_classes(good: Path) -> None:
    """Its builder takes none, so the recipe gives none."""
    recipe = read_recipe(
        good, ["network.name=dense_autoencoder", "data.noise=0.5", "training.loss=binary_crossentropy"]
    )
    assert recipe.network.options == {"input_shape": [8, 8, 1]}
    with pytest.raises(RecipeError, match=r"label_smoothing = 0\.1 is for classifiers"):
        read_recipe(good, ["network.name=dense_autoencoder", "training.label_smoothing=0.1"])


DETECTOR = ["network.name=dense_autoencoder"]


@pytest.mark.parametrize(
    ("value", "classes"), [("3", ("3",)), ('"3"', ("3",)), ('["3", "8"]', ("3", "8")), ("[3, 8]", ("3", "8"))]
)
def test_a_detectors_normal_classes(good: Path, value: str, classes: tuple[str, ...]) -> None:
    """A name or a list; a name that is a number needs no quotes."""
    recipe = read_recipe(good, [*DETECTOR, f"anomaly.normal={value}"])
    assert recipe.anomaly is not None
    assert (recipe.anomaly.classes, recipe.anomaly.false_alarms) == (classes, 0.05)
    assert recipe_from(recipe.as_dict(), "stored") == recipe


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("anomaly.normal=ten", "anomaly.normal = 'ten' is no class of digits; known: 0, 1, 2"),
        ("anomaly.normal=[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]", "anomaly.normal names every class of digits; leave out what"),
        ("anomaly={normal = 3, false_alarms = 1.0}", "anomaly.false_alarms = 1.0 must be from 0 to below 1"),
        ("anomaly={normal = 3, false_alarms = nan}", "anomaly.false_alarms = nan must be from 0 to below 1"),
    ],
)
def test_what_a_detector_cannot_be(good: Path, override: str, message: str) -> None:
    """Each is told by its key."""
    with pytest.raises(RecipeError) as caught:
        read_recipe(good, [*DETECTOR, override])
    assert message in str(caught.value)


def test_no_classifier_is_measured_by_features(good: Path) -> None:
    """There is accuracy for those."""
    with pytest.raises(RecipeError, match="measure is for generators, and cnn is none; leave it out"):
        read_recipe(good, ["measure={features = 'a.keras', preprocessing = 'unit'}"])


def test_a_recipe_without_a_measure_is_stored_as_it_was_before(good: Path) -> None:
    """With one, it reads back as the same."""
    assert "measure" not in read_recipe(good).as_dict()
    recipe = read_recipe(good, [*GENERATOR, "measure={features = 'a.keras', preprocessing = 'unit'}"])
    assert recipe_from(recipe.as_dict(), "stored") == recipe


def test_a_classifier_needs_its_top(good: Path) -> None:
    """Without it there is nothing to hold against the labels."""
    with pytest.raises(RecipeError, match="include_top = false leaves nothing to train"):
        read_recipe(good, ["network.name=vgg16", "network.options.include_top=false"])


def test_series_are_not_augmented_like_images(good: Path) -> None:
    """Said, not silently left out."""
    series = ["data.name=japanese_vowels", "network.name=lstm"]
    assert read_recipe(good, series).network.options == {"input_shape": [29, 12], "classes": 9}
    with pytest.raises(
        RecipeError, match="augmentation is of images, and japanese_vowels has none; leave all but 'noise' and 'mixup'"
    ):
        read_recipe(good, [*series, "augmentation.shift=0.1"])
    with pytest.raises(RecipeError, match="augmentation is of images"):
        read_recipe(good, [*series, "augmentation.cutmix=0.1"])
    mixed = read_recipe(good, [*series, "augmentation.mixup=0.1", "augmentation.noise=0.1"])
    assert (mixed.augmentation.mixup, mixed.augmentation.noise) == (0.1, 0.1)


def test_series_are_not_for_networks_of_images(good: Path) -> None:
    """Both shapes are named."""
    with pytest.raises(RecipeError, match=r"cnn reads inputs like \(28, 28, 1\), and japanese_vowels has \(29, 12\)"):
        read_recipe(good, ["data.name=japanese_vowels"])


GENERATOR = ["network.name=dcgan28_generator", "data.preprocessing=signed"]


def test_a_generator_makes_images_of_the_data(good: Path) -> None:
    """The latent size is its own; its discriminator sees the same images, also where they are resized."""
    recipe = read_recipe(good, [*GENERATOR, "network.options.input_shape=[16]"])
    assert recipe.network.options == {"image_shape": [8, 8, 1], "input_shape": [16]}
    assert recipe.adversarial.options == {"input_shape": [8, 8, 1]}
    larger = read_recipe(good, [*GENERATOR, "network.options.image_shape=[16, 16, 1]"])
    assert larger.adversarial.options == {"input_shape": [16, 16, 1]}
    assert recipe_from(larger.as_dict(), "stored") == larger


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("network.options.image_shape=[9, 9, 4]", "image_shape = [9, 9, 4], but digits has [8, 8, 1]; leave it out"),
        ("adversarial.options.wdith=1", "unknown key 'adversarial.options.wdith'; did you mean 'width'?"),
        ("adversarial.options.input_shape=[9, 9, 1]", "adversarial.options.input_shape is decided by the training"),
        ("adversarial.options.activation=sigmoid", "adversarial.options.activation is decided by the training"),
        (
            "data.name=japanese_vowels",
            "dcgan28_generator makes images like (28, 28, 1), and japanese_vowels has (29, 12)",
        ),
        ("training.keep=best", "training.keep = 'best' is not for generators; leave it out"),
        ("training.precision=float16", "training.precision = 'float16' is not for generators; leave it out"),
        ("augmentation.mixup=0.2", "augmentation.mixup = 0.2 is for classifiers, and dcgan28_generator is none"),
        ("data.noise=0.1", "data.noise = 0.1 is for auto-encoders, and dcgan28_generator is none; leave it out"),
        ("adversarial.differentiable_augmentation=true", "and there are none; give some, such as augmentation.shift"),
        ("measure.network=cnn", "measure.network = 'cnn' must be given with measure.features"),
        ("measure.features=imagenet", "measure.features = 'imagenet' must be given with measure.network"),
        ("measure={features = 'a.h5', network = 'dcgan_generator'}", "measure.network = 'dcgan_generator' is no class"),
        ("measure={features = 'a.h5', preprocessing = 'units'}", "measure.preprocessing = 'units' is not one of them"),
    ],
)
def test_what_a_generator_cannot_be_trained_with(good: Path, override: str, message: str) -> None:
    """Each is told by its key."""
    with pytest.raises(RecipeError) as caught:
        read_recipe(good, [*GENERATOR, override])
    assert message in str(caught.value)


CONDITIONAL = ["network.name=conditional_dcgan_generator", "data.preprocessing=signed"]


@pytest.mark.parametrize("key", NOT_DIFFERENTIABLE)
def test_made_images_are_not_changed_without_a_gradient(good: Path, key: str) -> None:
    """What a generator could not learn through; real ones alone may be changed so."""
    overrides = ["network.name=dcgan_generator", "data.name=cifar10", "data.preprocessing=signed"]
    overrides.append(f"augmentation.{key}=0.1")
    assert getattr(read_recipe(good, overrides).augmentation, key) == 0.1
    with pytest.raises(RecipeError, match=f"TensorFlow has no right gradient of augmentation.{key}; leave it out"):
        read_recipe(good, [*overrides, "adversarial.differentiable_augmentation=true"])


def test_a_conditional_generator_is_told_the_classes_of_the_data(good: Path) -> None:
    """And so is its discriminator, which sees a plane for each after the image's channels."""
    recipe = read_recipe(good, [*CONDITIONAL, "network.options.input_shape=[26]", "adversarial.options.width=8"])
    assert recipe.network.options == {"image_shape": [8, 8, 1], "classes": 10, "input_shape": [26]}
    assert recipe.adversarial.options == {"input_shape": [8, 8, 11], "classes": 10, "width": 8}
    assert recipe_from(recipe.as_dict(), "stored") == recipe


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "network.options.input_shape=[10]",
            "input_shape = [10] leaves no noise beside 10 classes; give [42], of which",
        ),
        ("network.options.classes=7", "network.options.classes = 7, but digits has 10; leave it out"),
        ("adversarial.options.classes=7", "adversarial.options.classes is decided by the training; leave it out"),
        ("adversarial.options.input_shape=[8, 8, 1]", "adversarial.options.input_shape is decided by the training"),
    ],
)
def test_what_a_conditional_generator_cannot_be_trained_with(good: Path, override: str, message: str) -> None:
    """Each is told by its key."""
    with pytest.raises(RecipeError) as caught:
        read_recipe(good, [*CONDITIONAL, override])
    assert message in str(caught.value)


def test_of_one_class_there_is_nothing_to_tell(good: Path, tmp_path: Path) -> None:
    """The generator without classes is named."""
    np.savez(tmp_path / "same.npz", x=np.arange(64 * 100, dtype=np.uint8).reshape(100, 8, 8, 1), y=np.zeros(100, int))
    data = f"data={{name = 'npz', preprocessing = 'signed', options = {{path = '{tmp_path / 'same.npz'}'}}}}"
    with pytest.raises(RecipeError, match="is told one of several classes, and npz has 1; use dcgan28_generator"):
        read_recipe(good, [*CONDITIONAL, data])


FAMILIES = {
    "AlexNet", "Auto-encoder", "CNN", "DenseNet", "GAN", "GRU", "Inception", "LSTM", "RNN", "ResNeXt", "ResNet", "VGG"
}  # fmt: skip
INCEPTIONS = {"inception_v1", "inception_v2", "inception_v4", "inception_resnet_v2", "xception"}


def test_every_family_has_a_recipe() -> None:
    """At a size that trains in minutes; of Inception each generation."""
    networks = {read_recipe(RECIPES / name).network.name for name in find_recipes(RECIPES)}
    assert {NETWORKS[name].family for name in networks} >= FAMILIES
    assert networks >= INCEPTIONS


def test_every_recipe_states_what_is_expected_of_it() -> None:
    """Of the float model and of the exported file."""
    for name in find_recipes(RECIPES):
        expect = read_recipe(RECIPES / name).as_dict()["expect"]
        assert {key.partition("_")[0] for key in expect} >= {"float", "exported"}, name


def test_what_is_trained_has_a_training() -> None:
    """The tasks that a recipe may ask for are those that there is a training of."""
    from dlkit.training.learning import LEARNING

    assert set(LEARNING) == set(TRAINED)


def test_what_no_weight_depends_on_is_no_other_training() -> None:
    """A threshold, what is exported, how often the state is kept; but what is normal is."""
    recipe = read_recipe(RECIPES / "digits-anomaly.toml")
    besides = ["anomaly.false_alarms=0.2", "export.scheme='float32'", "expect.float_auc=0.5", "training.checkpoints=9"]
    assert otherwise_trained(recipe, read_recipe(RECIPES / "digits-anomaly.toml", besides)) == []
    other = read_recipe(RECIPES / "digits-anomaly.toml", [*besides, "anomaly.normal=7", "training.epochs=2"])
    assert otherwise_trained(recipe, other) == ["anomaly.normal", "training.epochs"]
