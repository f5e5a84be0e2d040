"""From a Keras model to a .tflite file: convert once to float, then quantize, each in a child process."""
