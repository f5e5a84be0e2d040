"""Course and result of a training as tables."""

from __future__ import annotations

import numpy as np

from dlkit.metrics import confusion_matrix
from dlkit.training.histories import confusion_csv, csv_of


def test_a_line_an_epoch() -> None:
    """Numbers to the last digit; epochs are counted from 1."""
    text = csv_of([{"loss": 0.1 + 0.2, "val_loss": 1.0}, {"loss": 0.25, "val_loss": 2.0}]).decode()
    assert text == "epoch,loss,val_loss\n1,0.30000000000000004,1.0\n2,0.25,2.0\n"


def test_a_line_a_class() -> None:
    """Names that a table must quote are quoted."""
    assert confusion_csv([[3, 1], [0, 2]], ["a, b", "c"]).decode() == 'class,"a, b",c\n"a, b",3,1\nc,0,2\n'


def test_rows_are_classes_and_columns_what_they_are_taken_for() -> None:
    """Three samples of class 0, one of them taken for class 2."""
    outputs = np.eye(3, dtype=np.float32)[[0, 0, 2, 1]]
    assert confusion_matrix(outputs, np.array([0, 0, 0, 1])) == ((2, 0, 1), (0, 1, 0), (0, 0, 0))
