"""On-device inference: needs numpy and ai-edge-litert, never TensorFlow."""
