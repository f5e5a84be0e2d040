"""The small image data sets that Keras fetches: MNIST, Fashion-MNIST, CIFAR-10 and CIFAR-100.

They are fetched when they are first loaded, into ~/.keras/datasets, and read from there ever after. The test split
is the data set's own; validation samples are drawn from its training samples, as many of each class, once and for all.
"""

from __future__ import annotations

from dlkit.datasets import Splits, dataset

BYTES = (0.0, 255.0)
STORE = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
TORONTO = "https://www.cs.toronto.edu/~kriz/"

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CLOTHES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
CIFAR100 = (
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle", "bowl", "boy",
    "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle", "chair", "chimpanzee", "clock",
    "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant", "flatfish", "forest",
    "fox", "girl", "hamster", "house", "kangaroo", "keyboard", "lamp", "lawn_mower", "leopard", "lion", "lizard",
    "lobster", "man", "maple_tree", "motorcycle", "mountain", "mouse", "mushroom", "oak_tree", "orange", "orchid",
    "otter", "palm_tree", "pear", "pickup_truck", "pine_tree", "plain", "plate", "poppy", "porcupine", "possum",
    "rabbit", "raccoon", "ray", "road", "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper",
    "snail", "snake", "spider", "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank", "telephone",
    "television", "tiger", "tractor", "train", "trout", "tulip", "turtle", "wardrobe", "whale", "willow_tree", "wolf",
    "woman", "worm",
)  # fmt: skip


@dataset(
    shape=(28, 28, 1),
    labels=tuple("0123456789"),
    raw_range=BYTES,
    samples=(55000, 5000, 10000),
    source=f"LeCun, Cortes & Burges, The MNIST database of handwritten digits, as Keras has it: {STORE}mnist.npz",
    licence="CC BY-SA 3.0, as Keras states",
    kept="keras",
)
def mnist() -> Splits:
    """Handwritten digits, (N, 28, 28, 1) uint8, ink is high."""
    from dlkit.datasets._keras_files import splits_of_keras

    return splits_of_keras("mnist", (f"{STORE}mnist.npz",), ("mnist.npz",))


@dataset(
    shape=(28, 28, 1),
    labels=CLOTHES,
    raw_range=BYTES,
    samples=(55000, 5000, 10000),
    source="Xiao, Rasul & Vollgraf 2017, Fashion-MNIST, arXiv:1708.07747, github.com/zalandoresearch/fashion-mnist",
    licence="MIT",
    kept="keras",
)
def fashion_mnist() -> Splits:
    """Pieces of clothing, (N, 28, 28, 1) uint8, the ground is 0."""
    from dlkit.datasets._keras_files import splits_of_keras

    files = tuple(f"{part}-{kind}-ubyte.gz" for part in ("train", "t10k") for kind in ("labels-idx1", "images-idx3"))
    return splits_of_keras(
        "fashion_mnist", tuple(STORE + file for file in files), tuple(f"fashion-mnist/{file}" for file in files)
    )


@dataset(
    shape=(32, 32, 3),
    labels=CIFAR10,
    raw_range=BYTES,
    samples=(45000, 5000, 10000),
    source=f"Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images, {TORONTO}cifar.html",
    licence="not stated by its author",
    kept="keras",
)
def cifar10() -> Splits:
    """Photographs of ten kinds of things, (N, 32, 32, 3) uint8."""
    from dlkit.datasets._keras_files import splits_of_keras

    return splits_of_keras("cifar10", (f"{TORONTO}cifar-10-python.tar.gz",), ("cifar-10-batches-py-target_archive",))


@dataset(
    shape=(32, 32, 3),
    labels=CIFAR100,
    raw_range=BYTES,
    samples=(45000, 5000, 10000),
    source=f"Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images, {TORONTO}cifar.html",
    licence="not stated by its author",
    kept="keras",
)
def cifar100() -> Splits:
    """Photographs of a hundred kinds of things, by their fine labels, (N, 32, 32, 3) uint8."""
    from dlkit.datasets._keras_files import splits_of_keras

    return splits_of_keras("cifar100", (f"{TORONTO}cifar-100-python.tar.gz",), ("cifar-100-python-target_archive",))
