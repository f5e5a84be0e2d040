"""int8 of a network that was fitted again first: trained for integers, with many zeros, with few distinct weights.

What the steps are is told by the recipe's [compression]. Training with the rounding of 8 bits: Jacob et al. 2017,
arXiv:1712.05877; magnitude pruning: Zhu & Gupta 2017, arXiv:1710.01878; weight clustering: Han et al. 2016,
arXiv:1510.00149. Zeros and clusters make the file smaller where it is compressed on its way: in an app package, an
update, a download.
"""

from __future__ import annotations

import dataclasses

from dlkit.schemes.int8 import INT8

INT8_QAT = dataclasses.replace(
    INT8,
    name="int8_qat",
    summary="int8 of a network that was trained for it: fine-tuned with the rounding of 8 bits in place",
    preparation=("quantization_aware",),
    instead="int8",
)
INT8_PRUNED = dataclasses.replace(
    INT8,
    name="int8_pruned",
    summary="int8 with the smallest weights of each kernel at 0: half of them, or as many as the recipe says",
    preparation=("pruned",),
    instead="int8",
)
INT8_CLUSTERED = dataclasses.replace(
    INT8,
    name="int8_clustered",
    summary="int8 with few distinct weights in each output channel: 16, or as many as the recipe says",
    preparation=("clustered",),
    instead="int8",
)
INT8_PQAT = dataclasses.replace(
    INT8,
    name="int8_pqat",
    summary="int8_pruned that was trained for integers afterwards, its zeros kept",
    preparation=("pruned", "quantization_aware"),
    instead="int8",
)
INT8_CQAT = dataclasses.replace(
    INT8,
    name="int8_cqat",
    summary="int8_clustered that was trained for integers afterwards, its clusters kept",
    preparation=("clustered", "quantization_aware"),
    instead="int8",
)
INT8_PCQAT = dataclasses.replace(
    INT8,
    name="int8_pcqat",
    summary="int8 with zeros and few distinct weights, trained for integers: the smallest when compressed",
    preparation=("pruned", "clustered", "quantization_aware"),
    instead="int8",
)
