"""On files that the test writes in the official layout: TFRecord framing, JSON, base64, protocol buffers."""

import base64
import json
import struct

import google_crc32c
import numpy as np
import pytest

from nas_lightning.benchmarks import Benchmark, BenchmarkError
from nas_lightning.benchmarks.convert.command import convert
from nas_lightning.benchmarks.convert.nasbench101 import model_metrics
from nas_lightning.benchmarks.convert.tfrecord import masked_crc32c
from nas_lightning.spaces import get_space

SPACE = get_space("nasbench101")


def frame(data):
    def masked(raw):
        crc = google_crc32c.value(raw)
        return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)

    length = struct.pack("<Q", len(data))
    return length + masked(length) + data + masked(data)


def record(arch, epochs, value, module_hash=None):
    metrics = model_metrics()(trainable_parameters=SPACE.parameters(arch), total_time=5.0)
    for share in (0.0, 0.5, 1.0):
        metrics.evaluation_data.add(
            current_epoch=epochs * share,
            training_time=1000 * share * epochs,
            train_accuracy=share * value,
            validation_accuracy=share * value / 2,
            test_accuracy=share * value / 4,
            checkpoint_path="",
        )
    text, operations = str(arch).split(":")
    return json.dumps(
        [
            module_hash or SPACE.key(arch),
            epochs,
            text,
            operations,
            base64.b64encode(metrics.SerializeToString()).decode(),
        ]
    ).encode()


@pytest.fixture(scope="module")
def official(tmp_path_factory):
    """Twenty cells, budgets 4 and 108, three runs each; values tell cell, budget and run apart."""
    rng = np.random.default_rng(0)
    archs = list({SPACE.key(a): a for a in (SPACE.sample_unique(rng) for _ in range(20))}.values())
    values = rng.uniform(0.1, 1.0, (len(archs), 2, 3))
    path = tmp_path_factory.mktemp("official") / "nasbench_full.tfrecord"
    path.write_bytes(
        b"".join(
            frame(record(arch, epochs, values[i, e, run]))
            for run in range(3)
            for i, arch in enumerate(archs)
            for e, epochs in enumerate((4, 108))
        )
    )
    return path, archs, values


def test_check_value_of_crc32c():
    assert google_crc32c.value(b"123456789") == 0xE3069283
    assert masked_crc32c(b"123456789") == ((0xE3069283 >> 15 | 0xE3069283 << 17) + 0xA282EAD8) & 0xFFFFFFFF


def test_numbers_of_both_budgets_and_all_runs(official, tmp_path):
    path, archs, values = official
    table = Benchmark.open(convert("nasbench101", path, tmp_path / "t.arrow"))
    assert len(table) == len(archs)
    assert table.epochs("test_accuracy") == (4, 108)
    for e, epochs in enumerate((4, 108)):
        np.testing.assert_allclose(table.seed_accuracies(archs, "test_accuracy", epochs), values[:, e] / 4, rtol=1e-6)
        np.testing.assert_allclose(
            table.accuracies(archs, "validation_accuracy", epochs), values[:, e].mean(1) / 2, rtol=1e-6
        )
        np.testing.assert_allclose(
            table.accuracies(archs, "halfway_train_accuracy", epochs), values[:, e].mean(1) / 2, rtol=1e-6
        )
        np.testing.assert_allclose(table.training_time(archs, epochs), 1000 * epochs)
    assert table.params(archs).tolist() == [SPACE.parameters(arch) for arch in archs]
    assert table.keys == [SPACE.key(arch) for arch in archs]
    assert table.metadata["source"]["format"] == "nasbench101"
    assert len(table.sha256) == 64


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda raw: raw[:-1], "ends inside a record"),
        (lambda raw: raw[:5], "ends inside a record's head"),
        (lambda raw: raw[:-20] + b"x" + raw[-19:], "record that does not match its checksum"),
        (lambda raw: b"\x01" + raw[1:], "record length that does not match"),
        (lambda raw: b"", "no records"),
        (lambda raw: frame(b"[1, 2]"), "no NAS-Bench-101 measurement"),
        (lambda raw: frame(b"\xff\xfe"), "no NAS-Bench-101 measurement"),
        (lambda raw: raw + raw[: raw.index(b"]") + 5], "more than 3 runs"),
    ],
)
def test_damaged_files_are_refused_and_leave_nothing(official, tmp_path, damage, message):
    broken = tmp_path / "broken.tfrecord"
    broken.write_bytes(damage(official[0].read_bytes()))
    with pytest.raises(BenchmarkError, match=message):
        convert("nasbench101", broken, tmp_path / "t.arrow")
    assert [p.name for p in tmp_path.iterdir()] == ["broken.tfrecord"]


def test_broken_metrics_and_wrong_hashes_are_refused(official, tmp_path):
    arch = official[1][0]
    path = tmp_path / "t.tfrecord"
    fields = json.loads(record(arch, 108, 0.5))
    path.write_bytes(frame(json.dumps([*fields[:4], base64.b64encode(b"\xff\xff").decode()]).encode()))
    with pytest.raises(BenchmarkError, match="cannot be decoded"):
        convert("nasbench101", path, tmp_path / "t.arrow")
    path.write_bytes(frame(record(arch, 108, 0.5, module_hash="0" * 32)))
    with pytest.raises(BenchmarkError, match="not its module hash"):
        convert("nasbench101", path, tmp_path / "t.arrow")


def test_an_interrupt_leaves_nothing(official, tmp_path, monkeypatch):
    from nas_lightning.benchmarks.convert import nasbench101

    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(nasbench101, "encode_nasbench101", interrupted)
    with pytest.raises(KeyboardInterrupt):
        convert("nasbench101", official[0], tmp_path / "t.arrow")
    assert list(tmp_path.iterdir()) == []
