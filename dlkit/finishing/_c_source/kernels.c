#include "kernels.h"

/* --- Arithmetic in fixed point ------------------------------------------------------------------------------------
 * >> of a negative number keeps its sign, as with every compiler that this is for (C99 6.5.7 leaves it open).
 */

/* Wraps as two's complement does, without the undefined behaviour of a signed shift. */
static int32_t shifted_left(int32_t x, int32_t bits) { return (int32_t)((uint32_t)x << bits); }

static int32_t saturated_left(int32_t x, int32_t bits) {
    int64_t shifted = (int64_t)x * ((int64_t)1 << bits);
    return shifted > INT32_MAX ? INT32_MAX : shifted < INT32_MIN ? INT32_MIN : (int32_t)shifted;
}

/* a × b / 2^31, rounded to the nearest, a half away from zero. No caller has both at INT32_MIN. */
static int32_t high_product(int32_t a, int32_t b) {
    int64_t product = (int64_t)a * b;
    int64_t half = product >= 0 ? (int64_t)1 << 30 : 1 - ((int64_t)1 << 30);
    return (int32_t)((product + half) / ((int64_t)1 << 31));
}

/* x / 2^bits, rounded likewise. */
static int32_t shifted_right(int32_t x, int32_t bits) {
    int32_t mask = (int32_t)(((int64_t)1 << bits) - 1);
    int32_t remainder = x & mask;
    int32_t half = (mask >> 1) + (x < 0);
    return (x >> bits) + (remainder > half);
}

/* x × multiplier × 2^(shift − 31), rounded once for the product and once for the shift to the right. */
static int32_t scaled(int32_t x, int32_t multiplier, int32_t shift) {
    return shift > 0 ? high_product(shifted_left(x, shift), multiplier)
                     : shifted_right(high_product(x, multiplier), -shift);
}

/* The same, rounded once alone, as LiteRT's fully connected layer has it. */
static int32_t scaled_at_once(int32_t x, int32_t multiplier, int32_t shift) {
    int32_t bits = 31 - shift;
    return (int32_t)(((int64_t)x * multiplier + ((int64_t)1 << (bits - 1))) >> bits);
}

static int8_t within(int32_t x, int32_t low, int32_t high) { return (int8_t)(x < low ? low : x > high ? high : x); }

/* --- Convolutions ---------------------------------------------------------------------------------------------- */

void nn_conv_2d(const nn_conv *layer, const int8_t *in, int8_t *out) {
    int32_t group_outputs = layer->out_channels / (layer->in_channels / layer->kernel_channels);
    int32_t taps = layer->kernel_height * layer->kernel_width;
    for (int32_t y = 0; y < layer->out_height; y++)
        for (int32_t x = 0; x < layer->out_width; x++)
            for (int32_t channel = 0; channel < layer->out_channels; channel++) {
                const int8_t *weights = layer->weights + channel * taps * layer->kernel_channels;
                int32_t first = channel / group_outputs * layer->kernel_channels;
                int32_t sum = layer->bias[channel];
                for (int32_t i = 0; i < layer->kernel_height; i++)
                    for (int32_t j = 0; j < layer->kernel_width; j++, weights += layer->kernel_channels) {
                        int32_t row = y * layer->stride_y - layer->pad_top + i * layer->dilation_y;
                        int32_t column = x * layer->stride_x - layer->pad_left + j * layer->dilation_x;
                        if (row < 0 || row >= layer->in_height || column < 0 || column >= layer->in_width) continue;
                        const int8_t *pixel = in + (row * layer->in_width + column) * layer->in_channels + first;
                        for (int32_t c = 0; c < layer->kernel_channels; c++)
                            sum += weights[c] * (pixel[c] - layer->in_zero);
                    }
                sum = scaled(sum, layer->multipliers[channel], layer->shifts[channel]) + layer->out_zero;
                *out++ = within(sum, layer->low, layer->high);
            }
}

void nn_depthwise_conv_2d(const nn_conv *layer, const int8_t *in, int8_t *out) {
    int32_t each = layer->out_channels / layer->in_channels;
    for (int32_t y = 0; y < layer->out_height; y++)
        for (int32_t x = 0; x < layer->out_width; x++)
            for (int32_t channel = 0; channel < layer->out_channels; channel++) {
                const int8_t *weight = layer->weights + channel;
                int32_t sum = layer->bias[channel];
                for (int32_t i = 0; i < layer->kernel_height; i++)
                    for (int32_t j = 0; j < layer->kernel_width; j++, weight += layer->out_channels) {
                        int32_t row = y * layer->stride_y - layer->pad_top + i * layer->dilation_y;
                        int32_t column = x * layer->stride_x - layer->pad_left + j * layer->dilation_x;
                        if (row < 0 || row >= layer->in_height || column < 0 || column >= layer->in_width) continue;
                        int32_t place = (row * layer->in_width + column) * layer->in_channels + channel / each;
                        sum += *weight * (in[place] - layer->in_zero);
                    }
                sum = scaled(sum, layer->multipliers[channel], layer->shifts[channel]) + layer->out_zero;
                *out++ = within(sum, layer->low, layer->high);
            }
}

void nn_transpose_conv(const nn_conv *layer, const int8_t *in, int8_t *out) {
    int32_t taps = layer->kernel_height * layer->kernel_width;
    for (int32_t y = 0; y < layer->out_height; y++)
        for (int32_t x = 0; x < layer->out_width; x++)
            for (int32_t channel = 0; channel < layer->out_channels; channel++) {
                const int8_t *weights = layer->weights + channel * taps * layer->in_channels;
                int32_t sum = layer->bias[channel];
                for (int32_t i = 0; i < layer->kernel_height; i++)
                    for (int32_t j = 0; j < layer->kernel_width; j++, weights += layer->in_channels) {
                        /* the input pixel that this tap lays onto (y, x), if there is one */
                        int32_t row = y + layer->pad_top - i, column = x + layer->pad_left - j;
                        if (row < 0 || row % layer->stride_y || column < 0 || column % layer->stride_x) continue;
                        row /= layer->stride_y;
                        column /= layer->stride_x;
                        if (row >= layer->in_height || column >= layer->in_width) continue;
                        const int8_t *pixel = in + (row * layer->in_width + column) * layer->in_channels;
                        for (int32_t c = 0; c < layer->in_channels; c++)
                            sum += weights[c] * (pixel[c] - layer->in_zero);
                    }
                sum = scaled(sum, layer->multipliers[channel], layer->shifts[channel]) + layer->out_zero;
                *out++ = within(sum, layer->low, layer->high);
            }
}

void nn_fully_connected(const nn_dense *layer, const int8_t *in, int8_t *out) {
    for (int32_t row = 0; row < layer->rows; row++, in += layer->inputs) {
        const int8_t *weights = layer->weights;
        for (int32_t unit = 0; unit < layer->outputs; unit++, weights += layer->inputs) {
            int32_t sum = layer->bias[unit];
            for (int32_t i = 0; i < layer->inputs; i++) sum += weights[i] * (in[i] - layer->in_zero);
            sum = scaled_at_once(sum, layer->multipliers[unit], layer->shifts[unit]) + layer->out_zero;
            *out++ = within(sum, layer->low, layer->high);
        }
    }
}

/* --- Pooling and means ----------------------------------------------------------------------------------------- */

/* sum / count, rounded to the nearest, a half away from zero. */
static int32_t divided(int32_t sum, int32_t count) { return (sum > 0 ? sum + count / 2 : sum - count / 2) / count; }

/* The sum over a window, or its largest; count becomes the number of pixels in it. */
static int32_t over_window(const nn_pool *layer, const int8_t *in, int32_t y, int32_t x, int largest, int32_t *count) {
    int32_t found = largest ? INT8_MIN : 0;
    *count = 0;
    for (int32_t i = 0; i < layer->kernel_height; i++)
        for (int32_t j = 0; j < layer->kernel_width; j++) {
            int32_t row = y * layer->stride_y - layer->pad_top + i, column = x * layer->stride_x - layer->pad_left + j;
            if (row < 0 || row >= layer->in_height || column < 0 || column >= layer->in_width) continue;
            int32_t value = in[(row * layer->in_width + column) * layer->channels];
            found = !largest ? found + value : value > found ? value : found;
            ++*count;
        }
    return found;
}

void nn_average_pool_2d(const nn_pool *layer, const int8_t *in, int8_t *out) {
    int32_t count;
    for (int32_t y = 0; y < layer->out_height; y++)
        for (int32_t x = 0; x < layer->out_width; x++)
            for (int32_t channel = 0; channel < layer->channels; channel++) {
                int32_t sum = over_window(layer, in + channel, y, x, 0, &count);
                *out++ = within(divided(sum, count), layer->low, layer->high);
            }
}

void nn_max_pool_2d(const nn_pool *layer, const int8_t *in, int8_t *out) {
    int32_t count;
    for (int32_t y = 0; y < layer->out_height; y++)
        for (int32_t x = 0; x < layer->out_width; x++)
            for (int32_t channel = 0; channel < layer->channels; channel++)
                *out++ = within(over_window(layer, in + channel, y, x, 1, &count), layer->low, layer->high);
}

void nn_mean(const nn_mean_of *layer, const int8_t *in, int8_t *out) {
    for (int32_t i = 0; i < layer->outer; i++, in += layer->count * layer->inner)
        for (int32_t j = 0; j < layer->inner; j++) {
            int32_t sum = -layer->in_zero * layer->count;
            for (int32_t k = 0; k < layer->count; k++) sum += in[k * layer->inner + j];
            *out++ = within(scaled(sum, layer->multiplier, layer->shift) + layer->out_zero, INT8_MIN, INT8_MAX);
        }
}

/* --- Two inputs, one of which may be repeated ------------------------------------------------------------------- */

enum { ADD, SUB, MUL };

static int32_t paired(const nn_pair *layer, int32_t a, int32_t b, int operation) {
    if (operation == MUL) return scaled(a * b, layer->multiplier, layer->shift);
    a = scaled(a * (1 << 20), layer->a_multiplier, layer->a_shift); /* 20 more bits for the rounding */
    b = scaled(b * (1 << 20), layer->b_multiplier, layer->b_shift);
    return scaled(operation == ADD ? a + b : a - b, layer->multiplier, layer->shift);
}

static void over_pairs(const nn_pair *layer, const int8_t *a, const int8_t *b, int8_t *out, int operation) {
    const int32_t *shape = layer->shape, *p = layer->a_steps, *q = layer->b_steps;
    for (int32_t i = 0; i < shape[0]; i++)
        for (int32_t j = 0; j < shape[1]; j++)
            for (int32_t k = 0; k < shape[2]; k++)
                for (int32_t l = 0; l < shape[3]; l++) {
                    int32_t x = a[i * p[0] + j * p[1] + k * p[2] + l * p[3]] - layer->a_zero;
                    int32_t y = b[i * q[0] + j * q[1] + k * q[2] + l * q[3]] - layer->b_zero;
                    *out++ = within(paired(layer, x, y, operation) + layer->out_zero, layer->low, layer->high);
                }
}

void nn_add(const nn_pair *layer, const int8_t *a, const int8_t *b, int8_t *out) { over_pairs(layer, a, b, out, ADD); }

void nn_sub(const nn_pair *layer, const int8_t *a, const int8_t *b, int8_t *out) { over_pairs(layer, a, b, out, SUB); }

void nn_mul(const nn_pair *layer, const int8_t *a, const int8_t *b, int8_t *out) { over_pairs(layer, a, b, out, MUL); }

/* --- Softmax ----------------------------------------------------------------------------------------------------
 * In the fixed point of gemmlowp (fixedpoint/fixedpoint.h), "Q5.26" being 5 bits before the point and 26 behind it.
 */

/* exp(a), −1/4 ≤ a < 0, Q0.31: four terms of its series about −1/8. */
static int32_t exp_near_zero(int32_t a) {
    const int32_t exp_of_minus_eighth = 1895147668, third = 715827883;
    int32_t x = a + (1 << 28);
    int32_t square = high_product(x, x);
    int32_t cube = high_product(square, x), fourth = high_product(square, square);
    int32_t rest = shifted_right(high_product(shifted_right(fourth, 2) + cube, third) + square, 1);
    return exp_of_minus_eighth + high_product(exp_of_minus_eighth, x + rest);
}

/* exp(a), −32 < a ≤ 0 in Q5.26 → Q0.31: that of the last quarter × exp(−2^k) for each bit k that is left. */
static int32_t exp_of(int32_t a) {
    static const int32_t powers[7] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
    const int32_t quarter = 1 << 24;
    if (a == 0) return INT32_MAX;
    int32_t last = (a & (quarter - 1)) - quarter;
    int32_t result = exp_near_zero(saturated_left(last, 5)), left = last - a;
    for (int32_t k = 0; k < 7; k++)
        if (left & shifted_left(quarter, k)) result = high_product(result, powers[k]);
    return result;
}

/* 1 / (1 + a), 0 ≤ a < 1, Q0.31: three steps of Newton's method for the reciprocal of the half of it, in Q2.29. */
static int32_t reciprocal_of_one_plus(int32_t a) {
    const int32_t one = 1 << 29, start = 1515870810, slope = -1010580540; /* 48/17 and −32/17 */
    int32_t half = (int32_t)(((int64_t)a + INT32_MAX + 1) / 2);
    int32_t x = start + high_product(half, slope);
    for (int32_t i = 0; i < 3; i++) x += saturated_left(high_product(x, one - high_product(half, x)), 2);
    return saturated_left(x, 1);
}

static int32_t leading_zeros(uint32_t x) {
    int32_t count = 0;
    for (; count < 32 && !(x & 0x80000000u); x <<= 1) count++;
    return count;
}

void nn_softmax(const nn_softmax_of *layer, const int8_t *in, int8_t *out) {
    for (int32_t row = 0; row < layer->rows; row++, in += layer->depth, out += layer->depth) {
        int32_t largest = INT8_MIN, sum = 0; /* Q12.19 */
        for (int32_t i = 0; i < layer->depth; i++) largest = in[i] > largest ? in[i] : largest;
        for (int32_t i = 0; i < layer->depth; i++)
            if (in[i] - largest >= layer->lowest)
                sum += shifted_right(exp_of(scaled(in[i] - largest, layer->multiplier, layer->shift)), 12);
        int32_t zeros = leading_zeros((uint32_t)sum);
        int32_t fraction = (int32_t)(((uint32_t)sum << zeros) - 0x80000000u);
        int32_t reciprocal = reciprocal_of_one_plus(fraction);
        for (int32_t i = 0; i < layer->depth; i++) {
            int32_t part = INT8_MIN;
            if (in[i] - largest >= layer->lowest) {
                part = exp_of(scaled(in[i] - largest, layer->multiplier, layer->shift));
                /* of 512 or more that are almost alike, where LiteRT's kernel gives up, each is below half a step */
                part = zeros < 4 ? 0 : shifted_right(high_product(reciprocal, part), 12 - zeros + 31 - 8);
                part += INT8_MIN;
            }
            out[i] = within(part, INT8_MIN, INT8_MAX);
        }
    }
}

/* --- Byte by byte ----------------------------------------------------------------------------------------------- */

void nn_lookup(const uint8_t table[256], int32_t count, const void *in, void *out) {
    const uint8_t *from = in;
    uint8_t *to = out;
    for (int32_t i = 0; i < count; i++) to[i] = table[from[i]];
}

void nn_move(const nn_moves *layer, const int8_t *in, int8_t *out) {
    const int32_t *shape = layer->shape, *p = layer->in_steps, *q = layer->out_steps;
    for (int32_t i = 0; i < shape[0]; i++)
        for (int32_t j = 0; j < shape[1]; j++)
            for (int32_t k = 0; k < shape[2]; k++)
                for (int32_t l = 0; l < shape[3]; l++)
                    for (int32_t m = 0; m < shape[4]; m++)
                        out[layer->out_start + i * q[0] + j * q[1] + k * q[2] + l * q[3] + m * q[4]] =
                            in[layer->in_start + i * p[0] + j * p[1] + k * p[2] + l * p[3] + m * p[4]];
}

void nn_resize_nearest_neighbor(const nn_nearest *layer, const int8_t *in, int8_t *out) {
    for (int32_t y = 0; y < layer->out_height; y++)
        for (int32_t x = 0; x < layer->out_width; x++) {
            const int8_t *pixel = in + (layer->rows[y] * layer->in_width + layer->columns[x]) * layer->channels;
            for (int32_t c = 0; c < layer->channels; c++) *out++ = pixel[c];
        }
}

void nn_quantize(float scale, int32_t zero, int32_t count, const float *in, int8_t *out) {
    for (int32_t i = 0; i < count; i++) {
        float x = in[i] / scale;
        int32_t whole = x >= 512.0f ? 512 : x <= -512.0f ? -512 : x == x ? (int32_t)x : 0; /* beyond 8 bits anyway */
        float rest = x - (float)whole;                                                      /* exact */
        if (whole > -512 && whole < 512) whole += (rest >= 0.5f) - (rest <= -0.5f);
        out[i] = within(whole + zero, INT8_MIN, INT8_MAX);
    }
}

void nn_dequantize(float scale, int32_t zero, int32_t count, const int8_t *in, float *out) {
    for (int32_t i = 0; i < count; i++) out[i] = scale * (float)(in[i] - zero);
}
