"""The networks as ONNX files for programs without PyTorch, and posecast's own use of them."""
