"""A bundle: the folder that leaves `exported/`, whole and proven.

model.tflite     labels and preprocessing also inside it (an archive at its end); for servers saved_model/ or model.onnx
step.tflite      of a recurrent network exported for streaming: one step, with the states as inputs and outputs
manifest.json    what it is: recipe, task, versions, formats, preprocessing, threshold, sha256 of every file
labels.txt       a class a line; empty where the outputs are no classes
report.json      what was measured; report.txt, the same to read
samples.npz      a few raw inputs with the outputs they must give; what the float model gives, "float NAME"; the right
                 classes, "label"; raw values that are to be given again or forecast, "wanted"
reference.json   what the float model said on the test split, if there is one
history.csv      the course of the training, a line an epoch, where there was one
predict.py       a runner that needs only numpy and ai-edge-litert; for servers tensorflow or onnxruntime

Beside these lies what the manifest does not list, for it differs from one run to the next and nothing relies on it:

latency.json     how long the model takes where it was made
report.html      all of this to look at; `dlkit report` makes both anew
"""
