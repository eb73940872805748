"""Videos and keypoints of one's own, forecast in one call."""
