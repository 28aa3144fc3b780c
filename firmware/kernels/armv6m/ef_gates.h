/* Gates in passes over arrays: Armv6-M has eight registers that all instructions can use. */
#ifndef EF_GATES_H
#define EF_GATES_H

#include "ef_kernels.h"
#include "ef_math.h"

/*
 * v[i] = lookup(sat16(v[i] + u[i])), count at least 1; middle is the entry 128 of a table. 20
 * instructions per value: one index for both arrays, as LDRSH takes no other offset.
 */
static void ef_gate_pass(const int16_t *middle, int16_t *v, const int16_t *u, unsigned count) {
    int32_t index = -2 * (int32_t)count, sum, left, right;
    v += count;
    u += count;
    __asm volatile(".syntax unified\n"
                   "1: ldrsh %[s], [%[v], %[i]]\n\t"
                   "ldrsh %[r], [%[u], %[i]]\n\t"
                   "adds %[s], %[r]\n\t"
                   "sxth %[r], %[s]\n\t"
                   "cmp %[r], %[s]\n\t"
                   "bne 3f\n"
                   "2: asrs %[r], %[s], #8\n\t"
                   "lsls %[r], #1\n\t"
                   "ldrsh %[l], [%[t], %[r]]\n\t"
                   "adds %[r], #2\n\t"
                   "ldrsh %[r], [%[t], %[r]]\n\t"
                   "subs %[r], %[l]\n\t"
                   "uxtb %[s], %[s]\n\t"
                   "muls %[s], %[r]\n\t"
                   "adds %[s], #128\n\t"
                   "asrs %[s], #8\n\t"
                   "adds %[s], %[l]\n\t"
                   "strh %[s], [%[v], %[i]]\n\t"
                   "adds %[i], #2\n\t"
                   "bne 1b\n\t"
                   "b 4f\n"
                   "3: asrs %[s], %[s], #31\n\t" /* 0x7fff or its complement */
                   "movs %[r], #128\n\t"
                   "lsls %[r], #8\n\t"
                   "subs %[r], #1\n\t"
                   "eors %[s], %[r]\n\t"
                   "b 2b\n"
                   "4:"
                   : [i] "+l"(index), [s] "=&l"(sum), [l] "=&l"(left), [r] "=&l"(right)
                   : [v] "l"(v), [u] "l"(u), [t] "l"(middle)
                   : "cc", "memory");
}

/* u[i] = round(r[i] u[i] / 2^15), r at least 0 */
static inline void ef_scale_pass(const int16_t *r, int16_t *u, unsigned count) {
    for (const int16_t *end = u + count; u < end; r++, u++)
        *u = (int16_t)((*r * *u + (1 << 14)) >> 15);
}

/* No vectors: all units are left to the loops behind these. */
#define ef_blend_pass(n, z, h, count, bits) 0u
#define ef_cell_pass(f, input, g, c, out, count, fraction) 0u
#define ef_output_pass(o, u, h, count, bits) 0u

#endif
