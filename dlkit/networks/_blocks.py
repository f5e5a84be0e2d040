"""What several families of networks share."""

from __future__ import annotations

from dlkit.frameworks import keras


def scaled(filters: int, width: float, divisor: int = 1) -> int:
    """`filters` × `width`, rounded to the nearest multiple of `divisor` and at least one of it.

    >>> scaled(64, 0.1), scaled(96, 0.1, divisor=2)
    (6, 10)
    """
    return max(1, int(filters * width / divisor + 0.5)) * divisor


def divisible(filters: float, divisor: int = 8) -> int:
    """`filters` rounded to a multiple of `divisor`, at least one of it and not under 90 % of `filters`.

    The rule of the MobileNets and EfficientNets.

    >>> divisible(33.6), divisible(11.2), divisible(2.4)
    (32, 16, 8)
    """
    nearest = max(divisor, int(filters + divisor / 2) // divisor * divisor)
    return nearest if nearest >= 0.9 * filters else nearest + divisor


def classifier(
    x: keras.KerasTensor,
    classes: int,
    activation: str,
    dropout: float = 0.0,
    names: str = "avg_pool dropout predictions",
) -> keras.KerasTensor:
    """Global average pooling, dropout where there is any, and a dense layer: (N, H, W, C) → (N, classes)."""
    pool, drop, dense = names.split()
    x = keras.layers.GlobalAveragePooling2D(name=pool)(x)
    if dropout:
        x = keras.layers.Dropout(dropout, name=drop)(x)
    return keras.layers.Dense(classes, activation=activation, name=dense)(x)
