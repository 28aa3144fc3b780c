/* Gates in passes over arrays: one copy of the look-up for all gates, in 16-bit arithmetic. */
#ifndef EF_GATES_H
#define EF_GATES_H

#include "ef_kernels.h"
#include "ef_math.h"

/*
 * v[i] = lookup(sat16(v[i] + u[i])), count at least 1; middle is the entry 128 of a table. 57
 * cycles per value.
 */
static __attribute__((noinline)) void ef_gate_pass(const EF_FLASH int16_t *middle, int16_t *v,
                                                   const int16_t *u, unsigned count) {
    uint8_t low, high, zero;
    int16_t left, right;
    const EF_FLASH int16_t *at;
    __asm volatile(
        "clr %[zero]\n"
        "1: ld %[low], %a[v]\n\t"
        "ldd %[high], %a[v] + 1\n\t"
        "ld r0, %a[u]+\n\t"
        "add %[low], r0\n\t"
        "ld r0, %a[u]+\n\t"
        "adc %[high], r0\n\t"
        "brvc 2f\n\t"
        "mov %[low], %[high]\n\t" /* the sum has the other sign */
        "lsl %[low]\n\t"
        "sbc %[low], %[low]\n\t"
        "ldi %[high], 0x7f\n\t"
        "sbrs %[low], 7\n\t"
        "ldi %[high], 0x80\n"
        "2: mov %A[at], %[high]\n\t"
        "lsl %[high]\n\t"
        "sbc %B[at], %B[at]\n\t"
        "lsl %A[at]\n\t"
        "rol %B[at]\n\t"
        "add %A[at], %A[middle]\n\t"
        "adc %B[at], %B[middle]\n\t"
        "lpm %A[left], %a[at]+\n\t"
        "lpm %B[left], %a[at]+\n\t"
        "lpm %A[right], %a[at]+\n\t"
        "lpm %B[right], %a[at]+\n\t"
        "sub %A[right], %A[left]\n\t"
        "sbc %B[right], %B[left]\n\t"
        /* left + ((right - left) low + 128) >> 8 */
        "mul %A[right], %[low]\n\t"
        "lsl r0\n\t"
        "adc %A[left], r1\n\t"
        "adc %B[left], %[zero]\n\t"
        "mulsu %B[right], %[low]\n\t"
        "add %A[left], r0\n\t"
        "adc %B[left], r1\n\t"
        "st %a[v]+, %A[left]\n\t"
        "st %a[v]+, %B[left]\n\t"
        "subi %A[count], 1\n\t"
        "sbc %B[count], %[zero]\n\t"
        "brne 1b\n\t"
        "clr r1"
        : [v] "+b"(v), [u] "+x"(u), [count] "+d"(count), [low] "=&a"(low), [high] "=&d"(high),
          [zero] "=&r"(zero), [left] "=&r"(left), [right] "=&a"(right), [at] "=&z"(at)
        : [middle] "r"(middle)
        : "r0", "memory");
}

/* u[i] = round(r[i] u[i] / 2^15), r at least 0 */
static inline void ef_scale_pass(const int16_t *r, int16_t *u, unsigned count) {
    for (const int16_t *end = u + count; u < end; r++, u++)
        *u = (int16_t)(((int32_t)*r * *u + ((int32_t)1 << 14)) >> 15);
}

/* No vectors: all units are left to the loops behind these. */
#define ef_blend_pass(n, z, h, count, bits) 0u
#define ef_cell_pass(f, input, g, c, out, count, fraction) 0u
#define ef_output_pass(o, u, h, count, bits) 0u

#endif
