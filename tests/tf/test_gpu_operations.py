"""Operations that the target gpu lacks, each asked of the accelerator itself in a file that TensorFlow makes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlkit.devices._gpu_runs import run_on_gpu
from dlkit.progress import ignore
from dlkit.runtime.adapters import found_adapter
from dlkit.runtime.inspection import inspect_file
from dlkit.runtime.litert import formats_of
from dlkit.targets import TARGETS

pytestmark = [pytest.mark.slow, pytest.mark.full]  # CI asks it of files of one operation, see test_gpu

SHAPE = (1, 8, 8, 8)


def _functions() -> dict[str, Callable[[Any], Any]]:
    import tensorflow as tf

    rng = np.random.default_rng(0)

    def constant(*shape: int) -> Any:
        return tf.constant(rng.standard_normal(shape).astype(np.float32))

    def rows(x: Any) -> Any:
        return tf.reshape(x, (64, 8))

    def whole(x: Any) -> Any:
        return tf.cast(x * 4.0, tf.int32)

    def boxes(x: Any) -> tuple[Any, Any]:
        return tf.reshape(x, (-1, 4))[:16], tf.reshape(x, (-1,))[:16]

    four = [number % 4 for number in range(64)]
    return {
        "ARG_MIN": lambda x: tf.argmin(x, -1, output_type=tf.int32),
        "BITWISE_XOR": lambda x: tf.cast(tf.bitwise.bitwise_xor(whole(x), whole(x) * 3), tf.float32),
        "COMPLEX_ABS": lambda x: tf.abs(tf.signal.rfft2d(x[..., 0])),
        "CONV_3D": lambda x: tf.nn.conv3d(tf.reshape(x, (1, 2, 4, 8, 8)), constant(1, 3, 3, 8, 8), (1,) * 5, "SAME"),
        "CONV_3D_TRANSPOSE": lambda x: tf.nn.conv3d_transpose(
            tf.reshape(x, (1, 2, 4, 8, 8)), constant(1, 3, 3, 8, 8), (1, 2, 8, 16, 8), (1, 1, 2, 2, 1), "SAME"
        ),
        "GATHER_ND": lambda x: tf.gather_nd(x, [[0, 1], [0, 2]]),
        "LOCAL_RESPONSE_NORMALIZATION": tf.nn.lrn,
        "MATRIX_SET_DIAG": lambda x: tf.linalg.set_diag(x[0], tf.reduce_sum(x[0], -1)),
        "NON_MAX_SUPPRESSION_V4": lambda x: tf.cast(tf.image.non_max_suppression(*boxes(x), 4), tf.float32),
        "NON_MAX_SUPPRESSION_V5": lambda x: tf.image.non_max_suppression_with_scores(*boxes(x), 4)[1],
        "RANDOM_STANDARD_NORMAL": lambda x: x + tf.random.normal(SHAPE),
        "RANDOM_UNIFORM": lambda x: x + tf.random.uniform(SHAPE),
        "REVERSE_SEQUENCE": lambda x: tf.reverse_sequence(rows(x), [3] * 64, seq_axis=1),
        "RFFT2D": lambda x: tf.abs(tf.signal.rfft2d(x[..., 0])),
        "SCATTER_ND": lambda x: tf.scatter_nd([[0], [2]], x[0, :2, 0], (4, 8)),
        "SEGMENT_SUM": lambda x: tf.math.segment_sum(x[0], [0, 0, 1, 1, 2, 2, 3, 3]),
        "UNIQUE": lambda x: tf.cast(tf.unique(tf.reshape(whole(x), (-1,)))[1], tf.float32),
        "UNSORTED_SEGMENT_MAX": lambda x: tf.math.unsorted_segment_max(rows(x), four, 4),
        "UNSORTED_SEGMENT_SUM": lambda x: tf.math.unsorted_segment_sum(rows(x), four, 4),
        "WHERE": lambda x: tf.cast(tf.where(x > 0.0), tf.float32),
        "WHILE": lambda x: tf.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, y * 0.5 + 1.0), (0, x))[1],
        "IF": lambda x: tf.cond(tf.reduce_sum(x) > 0.0, lambda: x * 2.0, lambda: x - 1.0),
    }


@pytest.mark.parametrize("operation", _functions())
def test_the_accelerator_lacks_it(operation: str, tmp_path: Path) -> None:
    """It says so by name, or fails on the file."""
    import tensorflow as tf

    if not found_adapter():
        pytest.skip("GPU NOT TRIED: there is no Vulkan adapter; bash .ci/devices.d/gpu")
    made = _functions()[operation]

    def row(x: Any) -> Any:  # as one sample, which is all that is run
        return tf.reshape(tf.cast(made(x), tf.float32), (1, -1))

    function = tf.function(row, input_signature=[tf.TensorSpec(SHAPE, tf.float32, name="x")])
    file = tmp_path / "model.tflite"
    file.write_bytes(tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()]).convert())
    assert operation in inspect_file(file).ops
    assert operation in (*TARGETS["gpu"].lacks, "WHILE", "IF")
    [name] = formats_of(file)[0]
    run = run_on_gpu(file, {name: np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)}, ignore)
    assert run.outputs is None
    assert not run.refused or operation in run.refused
