"""How the two networks of a conditional GAN are told the class (Mirza & Osindero 2014, arXiv:1411.1784, section 3.2).

Classes are one-hot, (N, classes) float32; None where there are none to tell, and what is given then stays as it is.
"""

from __future__ import annotations

from typing import Any

from dlkit.frameworks import keras


def with_class(noise: Any, classes: Any) -> Any:
    """What the generator reads: (N, latent) → (N, latent + classes)."""
    return noise if classes is None else keras.ops.concatenate([noise, classes], axis=1)


def with_planes(images: Any, classes: Any) -> Any:
    """What the discriminator reads: (N, H, W, C) → (N, H, W, C + classes), a plane for each class."""
    if classes is None:
        return images
    ops = keras.ops
    _, height, width, _ = images.shape
    planes = ops.tile(ops.reshape(classes, (-1, 1, 1, classes.shape[1])), (1, height, width, 1))
    return ops.concatenate([images, planes], axis=3)
