"""Users' models: each gives its own numbers in float32, and int8 files that keep their promise and their signal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from elsewhere import Taken, samples_for, taken
from shelf import in_lanes

from dlkit.errors import IllegalCombination
from dlkit.schemes import SCHEMES

pytestmark = [
    pytest.mark.tf,
    # The TensorFlow converter's own, where a test quantizes in its own process.
    pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated:UserWarning"),
]

NAMES = (
    "multi_input", "multi_output", "multi_input_and_output", "dictionary", "nested", "siamese",
    "preprocessing_in_front", "leaky", "grouped_and_dilated", "bidirectional_sequences", "transformer", "masked_lstm",
    "masked_gru", "series", "separable_prelu", "smooth_activations", "normalizations", "time_distributed",
    "conv_lstm", "u_net", "squeeze_and_excite", "numpy_like_operations",
)  # fmt: skip
"""The keys of `users_models.MODELS`, which imports Keras."""


QUICK = {"multi_input_and_output", "bidirectional_sequences", "transformer", "masked_lstm", "normalizations", "u_net"}


@pytest.fixture(scope="module", params=in_lanes(NAMES, lambda name: name not in QUICK))
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Taken]:
    """One model's float file."""
    import keras
    from users_models import MODELS, TEXTS, WORDS

    from dlkit.conversion.describing import described

    keras.utils.set_random_seed(0)
    folder = tmp_path_factory.mktemp(request.param)
    MODELS[request.param]().save(folder / "model.keras")
    ends = described(folder / "model.keras")
    words = WORDS if request.param in TEXTS else 0
    yield taken(folder / "model.keras", samples_for(ends.inputs, words=words), folder / "made")
    keras.backend.clear_session()


def test_the_names_are_those_of_the_models() -> None:
    """No model is left out."""
    from users_models import MODELS

    assert set(NAMES) == set(MODELS)


def test_the_float_file_gives_the_models_own_numbers(made: Taken) -> None:
    """But for the order of additions."""
    assert made.gap <= 1e-5


def test_the_int8_file_is_int8_throughout_and_keeps_the_signal(made: Taken) -> None:
    """Every output is 10 dB above its noise, which is what an export asks for; all but a few are far above."""
    for comparison in made.quantized("int8"):
        assert comparison.sqnr_db >= 10


def _taken(model, tmp_path: Path, **options: int) -> Taken:
    from dlkit.conversion.describing import described

    model.save(tmp_path / "model.keras")
    ends = described(tmp_path / "model.keras")
    return taken(tmp_path / "model.keras", samples_for(ends.inputs, **options), tmp_path / "made")


def test_a_network_of_volumes_is_refused_int8_with_the_reason(tmp_path: Path) -> None:
    """The runtime convolves volumes in float alone."""
    import keras

    x = keras.Input((6, 6, 6, 1), name="x")
    y = keras.layers.Flatten()(keras.layers.Conv3D(4, 3, activation="relu")(x))
    made = _taken(keras.Model(x, keras.layers.Dense(3)(y)), tmp_path)
    with pytest.raises(IllegalCombination, match=r"no integer form of CONV_3D; use --scheme dynamic_int8"):
        made.quantized("int8")
    assert made.quantized("dynamic_int8")[0].sqnr_db > 20


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float64"])
def test_a_model_of_another_precision_is_rebuilt_in_float32(policy: str, tmp_path: Path) -> None:
    """Its weights are float32 already, or become so; the report says it."""
    import keras

    dtype = keras.DTypePolicy(policy)
    x = keras.Input((8, 8, 3), name="x")
    y = keras.layers.Conv2D(4, 3, dtype=dtype)(x)
    y = keras.Sequential([keras.Input((6, 6, 4), dtype=y.dtype), keras.layers.Flatten(dtype=dtype)])(y)
    model = keras.Model(x, keras.layers.Dense(3, dtype=dtype)(y))
    made = _taken(model, tmp_path)
    assert made.notes == [f"the model computes in {policy}; the file, and what it was held against, in float32"]
    own = model.predict(made.inputs["x"][:8], verbose=0)
    assert np.allclose(made.original.outputs["output"], own, rtol=0, atol=0.02)
    assert made.quantized("int8")[0].sqnr_db > 20


def test_16_bit_activations_of_a_normalisation_run(tmp_path: Path) -> None:
    """The runtime has no 16-bit SQUARED_DIFFERENCE, which Keras writes it with."""
    import keras

    keras.utils.set_random_seed(0)
    x = keras.Input((8, 16), name="x")
    y = keras.layers.LayerNormalization()(keras.layers.Dense(16)(x))
    made = _taken(keras.Model(x, keras.layers.Dense(3)(y)), tmp_path)
    assert made.quantized("int16x8")[0].sqnr_db > 35
    assert SCHEMES["int16x8"].tensors.isdisjoint({"float32"})
