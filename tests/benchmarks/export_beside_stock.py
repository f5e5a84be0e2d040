"""`dlkit export NETWORK --quantize --data ...` beside a plain script for the TensorFlow converter.

    python tests/benchmarks/export_beside_stock.py [NETWORK...] [--rounds N]

The network at full size (random weights) and 125 samples are made first: images, or arrays for a network that takes
no images. Then both run in turn, each in a fresh interpreter: the script loads the model and has TFLiteConverter
quantize it with 100 of the samples; dlkit calibrates with 100 too, proves the file on the other 25 and writes the
bundle; where it refuses a file for what random weights make of it (exit code 3), all but the writing was done. Memory
is of all processes at once, what several share counted once.
"""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import numpy as np
from pairing import in_turn
from parts import Part
from processes import DLKIT, PYTHON, used_by
from results import Measurement, measurement_of

from dlkit.networks import NETWORKS

SAMPLES = 125
"""A fifth of them proves the file, the others calibrate it."""
LOADED = {
    True: """
from pathlib import Path

def samples():
    for path in sorted(Path("samples").iterdir())[:100]:
        image = keras.utils.img_to_array(keras.utils.load_img(path, target_size={size}))
        yield [image[np.newaxis] / 255]
""",
    False: """
def samples():
    for sample in np.load("samples.npy")[:100]:
        yield [sample[np.newaxis] / 255]
""",
}
PLAIN = """
import sys
import keras, numpy as np, tensorflow as tf
{loaded}
from dlkit.networks._layers import custom_layers

custom_layers()  # of networks that have layers which Keras has not
converter = tf.lite.TFLiteConverter.from_keras_model(keras.models.load_model("exported/{name}/model.keras"))
scheme = sys.argv[1]
if scheme != "float32":
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
if scheme == "float16":
    converter.target_spec.supported_types = [tf.float16]
if scheme in ("int8", "int16x8"):
    ops = {{"int8": "TFLITE_BUILTINS_INT8", "int16x8": "EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8"}}
    converter.representative_dataset = samples
    converter.target_spec.supported_ops = [tf.lite.OpsSet[ops[scheme]]]
    converter.inference_input_type = converter.inference_output_type = {{"int8": tf.int8, "int16x8": tf.int16}}[scheme]
open("stock.tflite", "wb").write(converter.convert())
"""


def plain_script(name: str) -> str:
    """Takes the scheme as its argument; runs beside `exported`."""
    shape = NETWORKS[name].input
    return PLAIN.format(name=name, loaded=LOADED[_takes_images(name)].format(size=shape[:2]))


def prepare(name: str, folder: Path) -> str:
    """The model and the samples, as files in `folder`. Returns what to give as --data."""
    used_by([*DLKIT, "build", name], folder)
    rng = np.random.default_rng(0)
    if not _takes_images(name):
        np.save(folder / "samples.npy", np.float32(255) * rng.random((SAMPLES, *NETWORKS[name].input), np.float32))
        return "samples.npy"
    from PIL import Image

    images = folder / "samples"
    images.mkdir()
    for i in range(SAMPLES):
        small = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(small).resize((320, 240), Image.Resampling.BICUBIC).save(images / f"{i:03d}.jpg")
    return "samples"


def _takes_images(name: str) -> bool:
    return NETWORKS[name].input[2:] == (3,)


def measure(subject: str, rounds: int) -> list[Measurement]:
    """One network."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        data = prepare(subject, folder)
        ours = f"dlkit export {subject} --quantize"
        commands = {
            "dlkit": [*DLKIT, "export", subject, "--quantize", "--data", data, "--force"],
            "TensorFlow converter": [*PYTHON, "-c", plain_script(subject), "int8"],
        }
        run = {
            way: functools.partial(used_by, each, folder, memory=True, codes=(0, 3)) for way, each in commands.items()
        }
        return [measurement_of("export", ours, *in_turn(run, rounds))]


PART = Part("export", Path(__file__), ("lstm", "mobilenet_v2", "resnet50", "vgg16"), measure, rounds=3, quick=("lstm",))

if __name__ == "__main__":
    PART.main(__doc__)
