"""`posecast app`: forecasts in a browser, by the same functions as the command line."""
