"""A generator and a discriminator, trained against each other.

Goodfellow et al. 2014, arXiv:1406.2661, with the loss for the generator that does not saturate; one-sided label
smoothing as in Salimans et al. 2016, arXiv:1606.03498, section 3.4; the penalty on the slope at real samples of
Mescheder et al. 2018, arXiv:1801.04406, section 4.1 (R1); the spectral normalisation of Miyato et al. 2018,
arXiv:1802.05957; the changes to real and made images alike of Zhao et al. 2020, arXiv:2006.10738. Of a conditional pair
both are told the class of the real samples; see `conditions`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from dlkit.datasets import Splits
from dlkit.frameworks import keras
from dlkit.frameworks import tensorflow as tf
from dlkit.networks import NETWORKS
from dlkit.recipe import AdversarialPart, Recipe
from dlkit.recipe.rules import discriminator_of
from dlkit.recipe_data import asked_of, latent_noise, latent_noise_of_each
from dlkit.runtime.pictures import pixels_of, png_grid
from dlkit.runtime.preprocessing import Preprocessing
from dlkit.training.conditions import with_class, with_planes
from dlkit.training.fitting import Phase, fit_epochs
from dlkit.training.input_pipeline import changes_of_prepared, labelled_batches, real_batches, steps_of
from dlkit.training.optimizing import optimizer_for
from dlkit.training.watching import History, Watch
from dlkit.writing import write_bytes

BETA_1 = 0.5
"""Of both optimizers; Radford et al. 2015, arXiv:1511.06434, section 4."""
PICTURES, SHOWN, SHOWN_OF_EACH = 10, 64, 8
"""Of a training, the images in each, and those of each class where there are any to tell."""
SETTLING = 200
"""Batches on which the generator's normalisation takes the statistics that belong to its averaged weights."""


def fit(model: keras.Model, recipe: Recipe, splits: Splits, preprocessing: Preprocessing, watch: Watch) -> History:
    """Train the generator `model` in place, against a discriminator that is thrown away.

    Args:
        preprocessing: of the real images, to the range of what the generator makes.

    Raises:
        TrainingError: a loss is no longer a number.
        OutputError: a checkpoint cannot be written, or is of another training.
    """
    part, own = recipe.training, recipe.adversarial
    classes = recipe.network.options.get("classes", 0)
    builder = NETWORKS[discriminator_of(recipe.network.name)]
    discriminator = builder.build({**own.options, "activation": "linear"}, recipe.name)
    if own.spectral_norm:
        discriminator = _spectrally_normalised(discriminator)
    changed = changes_of_prepared(recipe.augmentation, preprocessing) if own.differentiable_augmentation else None
    pair, steps = _pair(model, discriminator, own, recipe.seed, classes, changed), steps_of(splits.train, recipe)
    rates = [optimizer_for(part, steps * part.epochs, beta_1=BETA_1, ema=ema) for ema in (own.ema, 0.0)]

    def compiled() -> list[Any]:
        pair.compile(*rates)
        return rates

    def batches(first: int) -> Any:
        if classes:
            return labelled_batches(splits.train, preprocessing, recipe, classes, first)
        return real_batches(splits.train, preprocessing, recipe, first)

    pictures = [_painter(model, recipe, preprocessing, watch.pictures)] if watch.pictures else []
    history = fit_epochs(pair, [Phase(part.epochs, compiled)], part, batches, steps, watch, callbacks=pictures)
    if own.ema:
        rates[0].finalize_variable_values(model.trainable_variables)
        pair.settle(part.batch_size, SETTLING, splits.train.labels)
    return history


def _spectrally_normalised(discriminator: keras.Model) -> keras.Model:
    """The same layers with new weights, those with a kernel normalised."""
    layers = keras.layers

    def wrapped(layer: Any) -> Any:
        own = type(layer).from_config(layer.get_config())
        kernel = isinstance(layer, layers.Conv2D | layers.Dense)
        return layers.SpectralNormalization(own, name=layer.name) if kernel else own

    return keras.models.clone_model(discriminator, clone_function=wrapped)


def _painter(generator: keras.Model, recipe: Recipe, preprocessing: Preprocessing, folder: Path) -> Any:
    """A Keras callback that shows ten times in a training what the generator makes of the same noise.

    Of one that is told a class it shows a class a row.
    """
    every, columns = max(1, recipe.training.epochs // PICTURES), None
    if asked_of(recipe, 1) is None:
        noise = latent_noise(recipe, SHOWN, recipe.seed)
    else:
        noise, columns = latent_noise_of_each(recipe, SHOWN_OF_EACH, recipe.seed), SHOWN_OF_EACH

    class Painter(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            if (epoch + 1) % every == 0:
                pixels = pixels_of(generator.predict(noise, verbose=0), preprocessing)
                write_bytes(folder / f"epoch-{epoch + 1:05d}.png", png_grid(pixels, columns))

    return Painter()


def _pair(
    generator: keras.Model,
    discriminator: keras.Model,
    part: AdversarialPart,
    seed: int,
    classes: int,
    changed: Callable[[Any, Any], Any] | None,
) -> Any:
    """Both as one Keras model whose step trains each against the other.

    Args:
        classes: that both are told; batches are then (real samples, classes one-hot), else real samples alone.
        changed: what is made of the generator's images, by a seed, before the discriminator sees them.
    """
    losses, ops = keras.losses.BinaryCrossentropy(from_logits=True), keras.ops

    class Pair(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.generator, self.discriminator = generator, discriminator
            self.noise = keras.random.SeedGenerator(seed)
            if changed:
                self.changes = keras.random.SeedGenerator(seed)
            self.means = [keras.metrics.Mean(name) for name in ("loss", "discriminator_loss")]

        @property
        def metrics(self) -> list[Any]:
            return self.means

        def compile(self, of_generator: Any, of_discriminator: Any) -> None:
            super().compile()
            self.of_generator, self.of_discriminator = of_generator, of_discriminator
            of_generator.build(generator.trainable_variables)
            of_discriminator.build(discriminator.trainable_variables)

        def drawn(self, count: Any) -> Any:
            return keras.random.normal((count, generator.input_shape[1] - classes), seed=self.noise)

        def made(self, count: Any, told: Any) -> Any:
            """Samples of new noise, of the classes `told`; None where there are none."""
            return generator(with_class(self.drawn(count), told), training=True)

        def shown(self, made: Any) -> Any:
            """What the discriminator sees of them; real samples are changed in their batches."""
            return made if changed is None else changed(made, ops.cast(self.changes.next(), "int64"))

        def judged(self, samples: Any, told: Any) -> Any:
            return discriminator(with_planes(samples, told), training=True)

        def train_step(self, batch: Any) -> dict[str, Any]:
            real, told = batch if classes else (batch, None)
            count = ops.shape(real)[0]
            with tf.GradientTape() as tape:
                made = self.made(count, told)
                of_real, of_made = self.judged(real, told), self.judged(self.shown(made), told)
                loss = losses((1.0 - part.smoothing) * ops.ones_like(of_real), of_real)
                loss += losses(ops.zeros_like(of_made), of_made)
                if part.gradient_penalty:
                    loss += 0.5 * part.gradient_penalty * self.slope(real, told)
            gradients = tape.gradient(loss, discriminator.trainable_variables)
            self.of_discriminator.apply(gradients, discriminator.trainable_variables)
            with tf.GradientTape() as tape:
                judged = self.judged(self.shown(self.made(count, told)), told)
                fooled = losses(ops.ones_like(judged), judged)
            gradients = tape.gradient(fooled, generator.trainable_variables)
            self.of_generator.apply(gradients, generator.trainable_variables)
            for mean, value in zip(self.means, (fooled, loss), strict=True):
                mean.update_state(value)
            return {mean.name: mean.result() for mean in self.means}

        def slope(self, real: Any, told: Any) -> Any:
            """Mean over the batch of the squared gradient of the discriminator at real samples."""
            with tf.GradientTape() as tape:
                tape.watch(real)
                judged = ops.sum(self.judged(real, told))
            return ops.mean(ops.sum(ops.square(tape.gradient(judged, real)), axis=tuple(range(1, len(real.shape)))))

        def settle(self, batch_size: int, batches: int, labels: Any) -> None:
            """Let the generator's normalisation see what its weights make, of classes as frequent as in `labels`."""

            def told() -> Any:
                if not classes:
                    return None
                places = keras.random.randint((batch_size,), 0, len(labels), seed=self.noise)
                return tf.one_hot(tf.gather(tf.constant(labels), places), classes)

            step = tf.function(lambda: self.made(batch_size, told()))
            for _ in range(batches):
                step()

    return Pair()
