/* The anomaly detection network of MLPerf Tiny, fully connected layers only, by CMSIS-NN: one
 * inference is one step of the profiler. The values do not matter, the kernels take the same
 * instructions for all. */
#include "arm_nnfunctions.h"
#include "ef_hal.h"
#include "ef_profile.h"

#define LAYERS 10
#define WIDEST 640

static const int32_t sizes[LAYERS + 1] = {640, 128, 128, 128, 128, 8, 128, 128, 128, 128, 640};
static const int8_t weights[264192] = {1}; /* in flash */
static const int32_t bias[WIDEST] = {1};
static int8_t activations[2][WIDEST];
#if defined(__ARM_FEATURE_MVE)
static int32_t sums[LAYERS][WIDEST];
#endif

int main(void) {
    ef_hal_init();
    const cmsis_nn_fc_params params = {.input_offset = 128,
                                       .filter_offset = 0,
                                       .output_offset = -128,
                                       .activation = {.min = -128, .max = 127}};
    const cmsis_nn_per_tensor_quant_params scale = {.multiplier = 1 << 30, .shift = -7};
    cmsis_nn_context context[LAYERS] = {{0}};
#if defined(__ARM_FEATURE_MVE)
    const int8_t *row = weights;
    for (int layer = 0; layer < LAYERS; layer++) { /* once, before the first inference */
        context[layer].buf = sums[layer];
        (void)arm_vector_sum_s8(sums[layer], sizes[layer], sizes[layer + 1], row,
                                params.input_offset, 0, bias);
        row += sizes[layer] * sizes[layer + 1];
    }
#endif
    arm_cmsis_nn_status status = ARM_CMSIS_NN_SUCCESS;
    ef_profile_begin();
    const int8_t *kernel = weights;
    for (int layer = 0; layer < LAYERS; layer++) {
        const int32_t inputs = sizes[layer], outputs = sizes[layer + 1];
        const cmsis_nn_dims input_dims = {.n = 1, .h = 1, .w = 1, .c = inputs};
        const cmsis_nn_dims filter_dims = {.n = inputs, .h = 1, .w = 1, .c = outputs};
        const cmsis_nn_dims bias_dims = {.n = 1, .h = 1, .w = 1, .c = outputs};
        const cmsis_nn_dims output_dims = {.n = 1, .h = 1, .w = 1, .c = outputs};
        if (arm_fully_connected_s8(&context[layer], &params, &scale, &input_dims,
                                   activations[layer & 1], &filter_dims, kernel, &bias_dims, bias,
                                   &output_dims,
                                   activations[(layer + 1) & 1]) != ARM_CMSIS_NN_SUCCESS) {
            status = ARM_CMSIS_NN_ARG_ERROR;
        }
        kernel += inputs * outputs;
    }
    ef_profile_end();
    static const uint8_t good[] = "validated\nEND\n", bad[] = "refused\nEND\n";
    if (status == ARM_CMSIS_NN_SUCCESS) {
        ef_hal_write(good, sizeof good - 1);
    } else {
        ef_hal_write(bad, sizeof bad - 1);
    }
    return 0;
}
