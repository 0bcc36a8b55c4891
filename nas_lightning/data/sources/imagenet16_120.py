"""ImageNet16-120, the third data set of NAS-Bench-201."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import numpy as np
import torch

from nas_lightning.data.images import DataError, ImageSet
from nas_lightning.data.source import Source

IMAGENET16_MD5 = {
    "train_data_batch_1": "27846dcaa50de8e21a7d1a35f30f0e91",
    "train_data_batch_2": "c7254a054e0e795c69120a5727050e3f",
    "train_data_batch_3": "4333d3df2e5ffb114b05d2ffc19b1e87",
    "train_data_batch_4": "1620cdf193304f4a92677b695d70d10f",
    "train_data_batch_5": "348b3c2fdbb3940c4e9e834affd3b18d",
    "train_data_batch_6": "6e765307c242a1b3d7d5ef9139b48945",
    "train_data_batch_7": "564926d8cbf8fc4818ba23d2faac7564",
    "train_data_batch_8": "f4755871f718ccb653440b9dd0ebac66",
    "train_data_batch_9": "bb6dd660c38c58552125b1a92f86b5d4",
    "train_data_batch_10": "8f03f34ac4b42271a294f91bf480f29b",
    "val_data": "3410e3017fdaefba8d5073aaa65e4bd6",
}


class ImageNet16(Source):
    """ImageNet16-120: the first 120 classes of the official 16 x 16 ImageNet batches (Chrabaszcz et al., 2017; NB201).

    The batch files are pickles of plain arrays; they are read only when their MD5 sums are the official ones, since a
    pickle can carry code.

    Args:
        root: folder that holds the folder ImageNet16.
    """

    name = "imagenet16_120"
    num_classes = 120
    mean, std = (0.4811, 0.4575, 0.4079), (0.2479, 0.2402, 0.2553)
    padding = 2
    known_by_name = True

    def __init__(self, *, root: str | Path = "data") -> None:
        self.root = root

    def read(self) -> tuple[ImageSet, ImageSet]:
        folder = Path(self.root) / "ImageNet16"
        parts = []
        for names in ([n for n in IMAGENET16_MD5 if n.startswith("train")], ["val_data"]):
            images, labels = [], []
            for name in names:
                path = folder / name
                if not path.is_file():
                    raise DataError(
                        f"ImageNet16-120 is missing: put the official batch file {name} into {folder} (or point "
                        "data.root or NAS_LIGHTNING_DATA elsewhere)"
                    )
                content = path.read_bytes()
                if hashlib.md5(content).hexdigest() != IMAGENET16_MD5[name]:
                    raise DataError(f"{path} is damaged or not the official file (its MD5 sum differs); fetch it again")
                batch = pickle.loads(content)
                keep = np.asarray(batch["labels"]) <= 120
                images.append(np.asarray(batch["data"])[keep].reshape(-1, 3, 16, 16).transpose(0, 2, 3, 1))
                labels.append(np.asarray(batch["labels"], np.int64)[keep] - 1)
            parts.append(
                ImageSet(torch.from_numpy(np.concatenate(images).copy()), torch.from_numpy(np.concatenate(labels)))
            )
        return parts[0], parts[1]
