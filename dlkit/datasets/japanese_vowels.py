"""Japanese vowels: 640 utterances of /ae/ by nine men, kept inside the package (380 kB).

`japanese_vowels.npz` holds `frames` (9961, 12) int32, millionths, one utterance after the other; `lengths`
(640,) uint8; `labels` (640,) uint8; and `split` (640,) uint8: 0 train, 1 validation, 2 test. The test split is
the data set's own; 5 of the 30 training utterances of each speaker, drawn once and fixed since, validate.
"""

from __future__ import annotations

from importlib.resources import files

from dlkit.datasets import Split, Splits, dataset

LONGEST = 29
"""Frames of the longest utterance."""
MEAN = (0.8801, -0.5595, 0.253, -0.2676, 0.2217, -0.2087, -0.1784, -0.0489, -0.2067, -0.1808, -0.0223, 0.0839)
DEVIATION = (0.4919, 0.3926, 0.2992, 0.3073, 0.269, 0.1675, 0.1618, 0.188, 0.1838, 0.1153, 0.097, 0.1289)
"""Of each coefficient over the 3,570 frames of the training split."""


@dataset(
    shape=(LONGEST, 12),
    labels=tuple(f"speaker{number}" for number in range(1, 10)),
    raw_range=(-4.0, 4.0),
    samples=(225, 45, 370),
    source="Kudo, Toyama & Shimbo 1999, Japanese Vowels, UCI Machine Learning Repository, doi:10.24432/C5NS47",
    licence="CC BY 4.0",
    statistics=(MEAN, DEVIATION),
)
def japanese_vowels() -> Splits:
    """The three splits, (N, 29, 12) float32: frames of 25.6 ms, 6.4 ms apart, of 12 LPC cepstrum coefficients.

    An utterance of fewer than 29 frames (there are 7 to 29) begins with frames of 0, so that its own end it.
    """
    import numpy as np

    with files("dlkit.datasets").joinpath("japanese_vowels.npz").open("rb") as file:
        arrays = np.load(file, allow_pickle=False)
        frames, labels, split = arrays["frames"] / 1e6, arrays["labels"].astype(np.int64), arrays["split"]
        ends = np.cumsum(arrays["lengths"], dtype=np.int64)
    utterances = np.zeros((len(labels), LONGEST, frames.shape[1]), np.float32)
    for place, utterance in enumerate(np.split(frames, ends[:-1])):
        utterances[place, LONGEST - len(utterance) :] = utterance
    train, validation, test = (Split(utterances[split == part], labels[split == part]) for part in range(3))
    return Splits(train, validation, test)
