"""A bundle: the folder that leaves `exported/`, whole and proven.

model.tflite     labels and preprocessing also inside it (an archive at its end); for servers saved_model/ or model.onnx
step.tflite      of a recurrent network exported for streaming: one step, with the states as inputs and outputs
manifest.json    what it is: recipe, task, versions, formats, preprocessing, threshold, sha256 of every file
labels.txt       a class a line; empty where the outputs are no classes
report.json      what was measured; report.txt, the same to read
samples.npz      a few raw inputs with the outputs they must give
reference.json   what the float model said on the test split, if there is one
predict.py       a runner that needs only numpy and ai-edge-litert; for servers tensorflow or onnxruntime
"""
