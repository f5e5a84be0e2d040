"""Between real numbers and the integers of a quantized file: real = scale × (integer − zero_point).

Jacob et al. 2017, arXiv:1712.05877, equation 1.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclasses.dataclass(frozen=True)
class TensorFormat:
    """An input or output of a file.

    Attributes:
        name: as in the file.
        shape: with the batch, which is 1.
        dtype: numpy's name, for instance "int8"; what numpy does not have, as the schema calls it.
        scale, zero_point: per tensor; 0.0 and 0 where the tensor is not quantized.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float
    zero_point: int

    @property
    def quantized(self) -> bool:
        # Some converters leave the range of a float tensor beside it.
        return self.scale != 0.0 and self._whole

    @property
    def counts(self) -> bool:
        """Whether it holds whole numbers that stand for themselves, as the words of a text do."""
        return not self.quantized and self._whole

    @property
    def _whole(self) -> bool:
        return self.dtype.startswith(("int", "uint"))  # numpy has no int4 and no float8

    def quantize(self, real: NDArray[np.float32]) -> NDArray[Any]:
        """Real numbers → the tensor's dtype; rounded half to even, saturated at the ends."""
        if not self.quantized:
            return real.astype(self.dtype)
        limits = np.iinfo(self.dtype)
        with np.errstate(over="ignore"):  # becomes infinite and saturates
            integers = np.round(real / np.float32(self.scale)) + self.zero_point
        return np.asarray(np.clip(integers, limits.min, limits.max), self.dtype)

    def dequantize(self, stored: NDArray[Any]) -> NDArray[np.float32]:
        """The tensor's dtype → real numbers."""
        if not self.quantized:
            return stored.astype(np.float32)
        return np.asarray((stored.astype(np.float32) - self.zero_point) * np.float32(self.scale), np.float32)
