"""posecast: forecast video of people, from a few seen frames, by way of the pose."""

__version__ = "0.1.0"
