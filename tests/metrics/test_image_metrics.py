import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from posecast.metrics.image import psnr, ssim


@pytest.fixture
def frames() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    smooth = np.cumsum(rng.normal(size=(3, 40, 48, 3)), axis=1) * 8 + 128
    true = smooth.clip(0, 255).astype(np.uint8)
    noisy = (true + rng.normal(scale=12, size=true.shape)).clip(0, 255).astype(np.uint8)
    return noisy, true


def test_agrees_with_scikit_image(frames):
    predicted, true = frames
    for index in range(len(true)):
        reference = structural_similarity(
            predicted[index],
            true[index],
            channel_axis=-1,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=255,
        )
        assert ssim(predicted, true)[index] == pytest.approx(reference, abs=1e-6)
        reference = peak_signal_noise_ratio(true[index], predicted[index], data_range=255)
        assert psnr(predicted, true)[index] == pytest.approx(reference, abs=1e-6)


def test_equal_frames(frames):
    _, true = frames
    assert np.isinf(psnr(true, true)).all()
    assert ssim(true, true) == pytest.approx(np.ones(3))


def test_constant_offset():
    true = np.full((1, 32, 32, 3), 100, np.uint8)
    shifted = np.full((1, 32, 32, 3), 110, np.uint8)
    assert psnr(shifted, true)[0] == pytest.approx(20 * np.log10(255 / 10))
    # Without any structure only the luminance term is left.
    c1 = (0.01 * 255) ** 2
    luminance = (2 * 100 * 110 + c1) / (100**2 + 110**2 + c1)
    assert ssim(shifted, true)[0] == pytest.approx(luminance, abs=1e-6)


def test_a_shift_of_one_pixel_costs(frames):
    _, true = frames
    shifted = np.roll(true, 1, axis=2)
    assert (ssim(shifted, true) < 0.9).all()
    assert (psnr(shifted, true) < 30).all()
