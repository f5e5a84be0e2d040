"""On-device inference: needs numpy and ai-edge-litert; TensorFlow for a SavedModel alone."""
