"""Where and how to compute: devices, precision, several processes, compilation, memory."""
