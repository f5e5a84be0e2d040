/* Inference with 8-bit integers, in plain C99: no allocation, no floating point but at float inputs and outputs, no
 * libm. Every function gives bit by bit what the reference kernel of LiteRT of that operation gives.
 *
 * real = scale × (integer − zero point); tensors are (height, width, channels), channels next to each other. Sums of
 * 32 bits become outputs of 8 by × multiplier × 2^(shift − 31), rounded, + the output's zero point, kept in low…high
 * (Jacob et al. 2017, arXiv:1712.05877, section 2.2). Sums cannot overflow: the generator has checked each layer.
 */
#ifndef NN_KERNELS_H
#define NN_KERNELS_H

#include <stdint.h>

typedef struct {
    int32_t in_height, in_width, in_channels;
    int32_t out_height, out_width, out_channels;
    int32_t kernel_height, kernel_width;
    int32_t kernel_channels; /* input channels that an output channel sees */
    int32_t stride_y, stride_x, dilation_y, dilation_x, pad_top, pad_left;
    int32_t in_zero, out_zero, low, high;
    const int8_t *weights;
    const int32_t *bias, *multipliers; /* of each output channel */
    const int8_t *shifts;
} nn_conv;

/* Weights (out_channels, kernel_height, kernel_width, kernel_channels); in groups if kernel_channels < in_channels. */
void nn_conv_2d(const nn_conv *layer, const int8_t *in, int8_t *out);

/* Weights (kernel_height, kernel_width, out_channels); out_channels is a multiple of in_channels. */
void nn_depthwise_conv_2d(const nn_conv *layer, const int8_t *in, int8_t *out);

/* Weights as those of nn_conv_2d; the stride is that of the outputs, and pad_top and pad_left are cut off them. */
void nn_transpose_conv(const nn_conv *layer, const int8_t *in, int8_t *out);

typedef struct {
    int32_t rows, inputs, outputs;
    int32_t in_zero, out_zero, low, high;
    const int8_t *weights; /* (outputs, inputs) */
    const int32_t *bias, *multipliers;
    const int8_t *shifts;
} nn_dense;

void nn_fully_connected(const nn_dense *layer, const int8_t *in, int8_t *out);

typedef struct {
    int32_t in_height, in_width, out_height, out_width, channels;
    int32_t kernel_height, kernel_width, stride_y, stride_x, pad_top, pad_left;
    int32_t low, high;
} nn_pool;

void nn_average_pool_2d(const nn_pool *layer, const int8_t *in, int8_t *out);
void nn_max_pool_2d(const nn_pool *layer, const int8_t *in, int8_t *out);

typedef struct {
    int32_t outer, count, inner; /* the mean is over the middle one */
    int32_t in_zero, out_zero, multiplier, shift;
} nn_mean_of;

void nn_mean(const nn_mean_of *layer, const int8_t *in, int8_t *out);

typedef struct {
    int32_t shape[4], a_steps[4], b_steps[4]; /* a step of 0 repeats what is there */
    int32_t a_zero, b_zero, out_zero, low, high;
    int32_t a_multiplier, b_multiplier, multiplier;
    int32_t a_shift, b_shift, shift;
} nn_pair;

void nn_add(const nn_pair *layer, const int8_t *a, const int8_t *b, int8_t *out);
void nn_sub(const nn_pair *layer, const int8_t *a, const int8_t *b, int8_t *out);
void nn_mul(const nn_pair *layer, const int8_t *a, const int8_t *b, int8_t *out);

typedef struct {
    int32_t rows, depth;
    int32_t multiplier, shift; /* from a difference of two inputs to one with 26 fractional bits */
    int32_t lowest;            /* exp of a difference below that is 0 */
} nn_softmax_of;

void nn_softmax(const nn_softmax_of *layer, const int8_t *in, int8_t *out);

/* Any function of one byte: table[(uint8_t)x] of each of count bytes, signed or not. in may be out. */
void nn_lookup(const uint8_t table[256], int32_t count, const void *in, void *out);

typedef struct {
    int32_t shape[5], in_steps[5], out_steps[5];
    int32_t in_start, out_start;
} nn_moves;

/* Bytes moved from where they are to where they belong: slices, transposes, parts that are joined. */
void nn_move(const nn_moves *layer, const int8_t *in, int8_t *out);

typedef struct {
    int32_t in_width, out_height, out_width, channels;
    const uint16_t *rows, *columns; /* of the input, for each of the output */
} nn_nearest;

void nn_resize_nearest_neighbor(const nn_nearest *layer, const int8_t *in, int8_t *out);

/* Between float inputs or outputs of a network and its integers; NaN becomes the zero point. */
void nn_quantize(float scale, int32_t zero, int32_t count, const float *in, int8_t *out);
void nn_dequantize(float scale, int32_t zero, int32_t count, const int8_t *in, float *out);

#endif
