/* Log-mel energies; see edgeflow/program/nodes/log_mel.py, which says why nothing wraps. */
#include "ef_kernels.h"
#include "ef_math.h"

/* log2 of a value in 1..2^54, Q15: by the 22 bits below the first */
static int32_t log_2(uint64_t value) {
    const uint32_t high = (uint32_t)(value >> 32), low = (uint32_t)value;
    const unsigned zeros = high > 0 ? ef_leading_zeros(high) : 32 + ef_leading_zeros(low);
    uint32_t top = zeros < 32 ? high << zeros : low << (zeros - 32);
    if (zeros > 0 && zeros < 32)
        top |= low >> (32 - zeros);
    const uint32_t position = (top & 0x7fffffff) >> 9;
    const EF_FLASH int16_t *node = ef_table_log2 + (position >> 14);
    const int32_t left = node[0], fraction = (int32_t)(position & 0x3fff);
    return (63 - (int32_t)zeros) * ((int32_t)1 << 15) + left +
           (((node[1] - left) * fraction + ((int32_t)1 << 13)) >> 14);
}

void ef_log_mel_step(const ef_log_mel *cell, const int16_t *x, int16_t *frame, int16_t *y,
                     int32_t *scratch32) {
    int32_t *z = scratch32;
    ef_window_frame(cell, x, frame, z);
    const uint32_t bits = ef_real_fft(z, cell->size, cell->twiddle);
    const unsigned exponent = ef_leading_zeros(bits | 1) - 2; /* brings the largest to 30 bits */
    const EF_FLASH int16_t *edge = cell->edges;
    const int32_t half_unit = (int32_t)1 << (cell->down - 1);
    const int32_t limit = ((int32_t)1 << (cell->bits - 1)) - 1;
    uint64_t before = 0; /* what the band before gives to the filter that begins there */
    for (unsigned band = 0; band <= cell->channels; band++) {
        uint64_t rising = 0, falling = 0;
        for (int16_t k = edge[band]; k < edge[band + 1]; k++) {
            const int32_t re = z[2 * k] * ((int32_t)1 << exponent);
            const int32_t im = z[2 * k + 1] * ((int32_t)1 << exponent);
            const uint32_t power = (uint32_t)(((int64_t)re * re + (int64_t)im * im) >> 32);
            const uint32_t weight = (uint32_t)cell->weight[k - 1];
            rising += (uint64_t)power * weight;
            falling += (uint64_t)power * (32768u - weight);
        }
        if (band > 0) {
            const uint64_t energy = before + falling;
            int32_t level = log_2(energy > 0 ? energy : 1) - (int32_t)exponent * 65536;
            level = (level < cell->floor ? cell->floor : level) - cell->offset;
            y[band - 1] = (int16_t)ef_clip((level + half_unit) >> cell->down, -limit, limit);
        }
        before = rising;
    }
}
