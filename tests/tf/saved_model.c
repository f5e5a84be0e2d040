/* Runs a SavedModel by TensorFlow's C library, which knows nothing of Python:
   saved_model FOLDER INPUT OUTPUT NUMBER BATCH DIM... < float32 numbers
   INPUT and OUTPUT are operations of its graph, NUMBER the output's number; prints the output's float32 numbers. */
#include <stdio.h>
#include <stdlib.h>

#include "tensorflow/c/c_api.h"

static void keep(void *data, size_t length, void *argument) { (void)data, (void)length, (void)argument; }

static int refused(const char *what, TF_Status *status) {
    if (TF_GetCode(status) == TF_OK) return 0;
    fprintf(stderr, "%s: %s\n", what, TF_Message(status));
    return 1;
}

int main(int count, char **words) {
    TF_Status *status = TF_NewStatus();
    TF_Graph *graph = TF_NewGraph();
    const char *tags[] = {"serve"};
    TF_Session *session =
        TF_LoadSessionFromSavedModel(TF_NewSessionOptions(), NULL, words[1], tags, 1, graph, NULL, status);
    if (refused("load", status)) return 1;
    int64_t shape[8];
    size_t numbers = 1;
    int rank = count - 5;
    for (int n = 0; n < rank; n++) numbers *= (size_t)(shape[n] = atoll(words[5 + n]));
    float *values = malloc(numbers * sizeof(float));
    if (fread(values, sizeof(float), numbers, stdin) != numbers) return 2;
    TF_Tensor *given = TF_NewTensor(TF_FLOAT, shape, rank, values, numbers * sizeof(float), keep, NULL), *found = NULL;
    TF_Output input = {TF_GraphOperationByName(graph, words[2]), 0};
    TF_Output output = {TF_GraphOperationByName(graph, words[3]), atoi(words[4])};
    if (!input.oper || !output.oper) return 3;
    TF_SessionRun(session, NULL, &input, &given, 1, &output, &found, 1, NULL, 0, NULL, status);
    if (refused("run", status)) return 1;
    fwrite(TF_TensorData(found), 1, TF_TensorByteSize(found), stdout);
    return 0;
}
