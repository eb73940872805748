"""What of the seen frames shows in a future one: camera, plate, body parts, and their layers."""
