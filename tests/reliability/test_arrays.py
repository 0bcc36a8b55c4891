"""Arrays of strangers: whatever numpy, zipfile and zlib raise is one ValueError."""

import numpy as np
import pytest
import torch

from nas_lightning.data.images import DataError, ImageSet
from nas_lightning.data.source import checked
from nas_lightning.runs.arrays import read_array, read_arrays


def npy(header):
    text = header.encode().ljust(118) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(
    "content",
    [
        npy("{'descr': '<f8', 'fortran_order': False, 'shape': (3,"),  # tokenize.TokenError
        npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000000,), }"),  # no such memory
        npy("{'descr': 'O', 'fortran_order': False, 'shape': (1,), }"),
        b"",
        b"PK\x03\x04 and no more",
    ],
)
def test_a_file_that_is_no_array_is_a_value_error(tmp_path, content):
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(ValueError, match=":") as refusal:
        read_array(tmp_path / "a.npy")
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 140


def test_arrays_are_found_by_any_of_their_names(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.arange(3), y=np.ones(2))
    found = read_arrays(tmp_path / "a.npz", [("first", "x"), ("y",)])
    assert [a.tolist() for a in found] == [[0, 1, 2], [1, 1]]
    with pytest.raises(LookupError, match="lacks z or w; it has x, y"):
        read_arrays(tmp_path / "a.npz", [("x",), ("z", "w")])
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[60] ^= 255
    (tmp_path / "b.npz").write_bytes(content)
    with pytest.raises(ValueError, match=":"):
        read_arrays(tmp_path / "b.npz", [("x",)])
    with pytest.raises(OSError, match="No such file"):
        read_array(tmp_path / "none.npy")


def test_a_label_of_two_to_the_63_builds_no_list_of_classes():
    source = type("Mine", (), {"name": "mine", "num_classes": None})()

    def labelled(labels):
        return ImageSet(torch.zeros(len(labels), 4, 4, 3, dtype=torch.uint8), torch.tensor(labels))

    for labels, missing in (([0, 1, 2**63 - 2], 2), ([0, 2, 3], 1), ([1, 2, 3], 0)):
        with pytest.raises(DataError, match=f"class {missing} of {max(labels) + 1} has no training image"):
            checked(source, labelled(labels), labelled(labels[:1]))
    checked(source, labelled([0, 1, 2]), labelled([2, 2]))
