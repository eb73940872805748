import numpy as np
import pytest
import scipy.linalg
import torch

from posecast.metrics.video import VideoRecipe, frechet_distance, load_extractor, video_features


@pytest.fixture
def vectors() -> np.ndarray:
    mixing = np.random.default_rng(1).normal(size=(6, 6))
    return np.random.default_rng(0).normal(size=(300, 6)) @ mixing + 3


def test_the_distance_is_that_of_the_formula(vectors):
    other = np.random.default_rng(2).normal(size=(200, 6)) + 1
    ours, theirs = np.cov(vectors.T), np.cov(other.T)
    means = ((vectors.mean(axis=0) - other.mean(axis=0)) ** 2).sum()
    traces = np.trace(ours + theirs - 2 * scipy.linalg.sqrtm(ours @ theirs).real)
    assert frechet_distance(vectors, other) == pytest.approx(means + traces)


def test_a_set_with_itself_is_at_distance_zero(vectors):
    assert frechet_distance(vectors, vectors) == pytest.approx(0, abs=1e-8)


def test_a_constant_offset_counts_squared(vectors):
    moved = vectors + np.array([3.0, 4.0, 0, 0, 0, 0])
    assert frechet_distance(moved, vectors) == pytest.approx(25.0)


def test_a_scale_has_a_closed_form(vectors):
    centred = vectors - vectors.mean(axis=0)
    distance = frechet_distance(3 * centred, centred)
    # trace(9 C + C - 2 * 3 C)
    assert distance == pytest.approx(4 * np.trace(np.cov(vectors.T)))


def test_noise_is_farther_than_a_second_sample(vectors):
    half, other = vectors[:150], vectors[150:]
    noise = np.random.default_rng(2).normal(size=(150, 6)) * 5
    assert frechet_distance(half, other) < 0.2 * frechet_distance(half, noise)


def test_one_clip_has_no_covariance(vectors):
    with pytest.raises(ValueError, match="at least 2 clips, got 1"):
        frechet_distance(vectors[:1], vectors)


def brightness_over_time(video: torch.Tensor) -> torch.Tensor:
    return video.mean(dim=(1, 3, 4))


def test_the_extractor_sees_what_the_recipe_says():
    frames = np.zeros((5, 8, 10, 3), np.uint8)
    frames[1], frames[4] = 255, 255
    recipe = VideoRecipe(num_frames=4, size=6)
    shapes = []

    def extractor(video):
        shapes.append(tuple(video.shape))
        return brightness_over_time(video)

    found = video_features(frames, extractor, recipe)
    assert shapes == [(1, 3, 4, 6, 6)]
    assert found == pytest.approx([-1, 1, -1, -1])
    assert video_features(frames[:3], extractor, recipe) is None
    with pytest.raises(ValueError, match="1 or more"):
        VideoRecipe(num_frames=0)


class Extractor(torch.nn.Module):
    def forward(self, video: torch.Tensor) -> torch.Tensor:
        return video.mean(dim=(1, 3, 4))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*torch.jit.script:FutureWarning")
def test_an_extractor_is_read_from_a_file(tmp_path):
    frames = np.full((4, 8, 8, 3), 255, np.uint8)
    torch.jit.script(Extractor()).save(str(tmp_path / "extractor.pt"))
    extractor = load_extractor(tmp_path / "extractor.pt")
    found = video_features(frames, extractor, VideoRecipe(4, 8))
    assert found == pytest.approx(np.ones(4))
    with pytest.raises(ValueError, match="there is no file"):
        load_extractor(tmp_path / "other.pt")
    (tmp_path / "broken.pt").write_bytes(b"not a network")
    with pytest.raises(ValueError, match="is no TorchScript file"):
        load_extractor(tmp_path / "broken.pt")
