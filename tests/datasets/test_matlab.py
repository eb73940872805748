"""The MATLAB reader against scipy's, and against damage."""

import contextlib
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from posecast.datasets.matlab import MatlabError, read_matlab

VARIABLES = {
    "numbers": np.arange(6.0).reshape(2, 3) / 7,
    "bytes": np.array([[1, 200, 255]], np.uint8),
    "words": np.array([[40000], [3]], np.uint16),
    "negative": np.array([[-1]], np.int32),
    "single": np.array([[1.5, 2.5]], np.float32),
    "empty": np.zeros((0, 3)),
    "cube": np.arange(24.0).reshape(2, 3, 4),
    "flag": True,
}


@pytest.mark.parametrize("compressed", [False, True])
def test_agrees_with_scipy(tmp_path, compressed):
    path = tmp_path / "all.mat"
    others = {"action": "jump_ro\u00e9", "cell": np.array([1, "b"], object), "s": {"field": 1}}
    scipy.io.savemat(path, VARIABLES | others, do_compression=compressed)
    ours, theirs = read_matlab(path), scipy.io.loadmat(path)
    assert set(ours) == {*VARIABLES, "action"}
    assert ours["action"] == others["action"]
    for name in VARIABLES:
        assert ours[name].dtype == theirs[name].dtype, name
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)


def test_reads_the_other_byte_order(tmp_path):
    little = tmp_path / "little.mat"
    scipy.io.savemat(little, {"v": np.array([[258]], np.uint16)}, do_compression=False)
    data = bytearray(little.read_bytes())
    words = np.frombuffer(bytes(data[128:]), "<u4").byteswap()
    name = 128 + 8 + 16 + 16 + 4  # the characters of the name are not turned round
    swapped = bytearray(bytes(data[:124]) + b"\x01\x00MI" + words.tobytes())
    swapped[name : name + 4] = data[name : name + 4]
    swapped[-4:] = b"\x01\x02\x00\x00"
    big = tmp_path / "big.mat"
    big.write_bytes(bytes(swapped))
    assert read_matlab(big)["v"].tolist() == [[258]]


@pytest.mark.parametrize("compressed", [False, True])
def test_every_cut_is_noticed(tmp_path, compressed):
    path = tmp_path / "cut.mat"
    scipy.io.savemat(path, VARIABLES, do_compression=compressed)
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        try:
            fewer = read_matlab(path)
        except MatlabError:
            continue
        assert len(fewer) < len(VARIABLES), length


def test_damage_is_no_more_than_an_error(tmp_path):
    path = tmp_path / "damaged.mat"
    scipy.io.savemat(path, VARIABLES | {"text": "abc"}, do_compression=False)
    whole, rng = path.read_bytes(), np.random.default_rng(3)
    for _ in range(500):
        data = bytearray(whole)
        for place in rng.integers(124, len(whole), 4):
            data[place] = rng.integers(256)
        path.write_bytes(bytes(data))
        with contextlib.suppress(MatlabError):
            read_matlab(path)


def test_agrees_with_scipy_on_real_labels(shared: Path):
    files = sorted((shared / "data" / "penn_action" / "labels").glob("*.mat"))
    cut_short = {"1605", "1833"}  # compressed variables without their checksum
    some = [file for file in files if int(file.stem) % 8 == 0 or file.stem in cut_short]
    assert len(some) == 292
    for file in some:
        ours = read_matlab(file)
        for name, value in scipy.io.loadmat(file).items():
            if isinstance(ours.get(name), str):
                assert ours[name] == value[0]
            elif not name.startswith("__"):
                assert ours[name].dtype == value.dtype
                np.testing.assert_array_equal(ours[name], value)
