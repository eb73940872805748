"""A video of a real person that ships with posecast, to try it on: see CREDITS.md."""

from pathlib import Path

SAMPLE = Path(__file__).with_name("squats.mp4")
"""Squats, 3.3 s, 640 x 360 pixels, 30 frames a second."""

SAMPLE_CREDIT = (
    "Video: subject 3, ADL 07 of GMDCSA24 (E. Alam et al.), CC BY 4.0, "
    "doi 10.5281/zenodo.12921216, made smaller."
)
