/* Kernels that touch a little too much, and one that touches all it may: for test_guard.py. Weights
 * are those of ef_matvec_s8_s16, row by row. */
#include "ef_layout.h"

#ifdef __arm__
    .syntax unified
    .thumb
#endif

    .macro FUNCTION name
    .section .text.\name, "ax", %progbits
    .balign 4
    .global \name
    .type \name, %function
#ifdef __arm__
    .thumb_func
#endif
\name:
    .endm

    .macro END name
    .size \name, . - \name
    .endm

/* The last value of x that may be read, as columns go up to a multiple of 4, by `more` values. */
    .macro LOAD_X more
#if defined(__arm__)
    ldrh r3, [r0, #EF_MATRIX_COLS]
    adds r3, #3
    lsrs r3, #2
    lsls r3, #3
    adds r3, r1
    subs r3, #2 - 2 * \more
    ldrh r3, [r3]
#elif defined(__riscv)
    lhu a3, EF_MATRIX_COLS(a0)
    addi a3, a3, 3
    srli a3, a3, 2
    slli a3, a3, 3
    add a3, a3, a1
    lhu a3, (2 * \more - 2)(a3)
#else
    ldrh w3, [x0, #34]
    add w3, w3, #3
    lsr w3, w3, #2
    lsl w3, w3, #3
    add x3, x3, x1
    sub x3, x3, #2 - 2 * \more
    ldrh w3, [x3]
#endif
    .endm

/* The last value of y, by `more` values. */
    .macro STORE_Y more
#if defined(__arm__)
    ldrh r3, [r0, #EF_MATRIX_ROWS]
    lsls r3, #1
    adds r3, r2
    subs r3, #2 - 2 * \more
    strh r0, [r3]
#elif defined(__riscv)
    lhu a3, EF_MATRIX_ROWS(a0)
    slli a3, a3, 1
    add a3, a3, a2
    sh a0, (2 * \more - 2)(a3)
#else
    ldrh w3, [x0, #32]
    lsl w3, w3, #1
    add x3, x3, x2
    sub x3, x3, #2 - 2 * \more
    strh w0, [x3]
#endif
    .endm

/* The last of the weights, by `more` bytes. */
    .macro LOAD_WEIGHT more
#if defined(__arm__)
    ldrh r3, [r0, #EF_MATRIX_ROWS]
    ldrh r1, [r0, #EF_MATRIX_COLS]
    muls r3, r1, r3
    ldr r0, [r0, #EF_MATRIX_WEIGHTS]
    adds r3, r0
    subs r3, #1 - \more
    ldrb r3, [r3]
#elif defined(__riscv)
    lhu a3, EF_MATRIX_ROWS(a0)
    lhu a4, EF_MATRIX_COLS(a0)
    mul a3, a3, a4
    lw a0, EF_MATRIX_WEIGHTS(a0)
    add a3, a3, a0
    lbu a3, (\more - 1)(a3)
#else
    ldrh w3, [x0, #32]
    ldrh w4, [x0, #34]
    mul w3, w3, w4
    ldr x0, [x0, #8]
    add x3, x3, x0
    sub x3, x3, #1 - \more
    ldrb w3, [x3]
#endif
    .endm

    .macro DONE
#if defined(__arm__)
    bx lr
#else
    ret
#endif
    .endm

    FUNCTION touches_the_last
    LOAD_X 0
    STORE_Y 0
    LOAD_WEIGHT 0
    DONE
    END touches_the_last

    FUNCTION loads_behind_x
    LOAD_X 1
    DONE
    END loads_behind_x

    FUNCTION stores_behind_y
    STORE_Y 1
    DONE
    END stores_behind_y

    FUNCTION loads_behind_weights
    LOAD_WEIGHT 1
    DONE
    END loads_behind_weights

    FUNCTION loads_before_weights
#if defined(__arm__)
    ldr r3, [r0, #EF_MATRIX_WEIGHTS]
    subs r3, #1
    ldrb r3, [r3]
#elif defined(__riscv)
    lw a3, EF_MATRIX_WEIGHTS(a0)
    lbu a3, -1(a3)
#else
    ldr x3, [x0, #8]
    ldrb w3, [x3, #-1]
#endif
    DONE
    END loads_before_weights

    FUNCTION stores_before_y
#if defined(__arm__)
    subs r2, #2
    strh r0, [r2]
#elif defined(__riscv)
    sh a0, -2(a2)
#else
    strh w0, [x2, #-2]
#endif
    DONE
    END stores_before_y

    FUNCTION loads_before_x
#if defined(__arm__)
    subs r1, #1
    ldrb r3, [r1]
#elif defined(__riscv)
    lbu a3, -1(a1)
#else
    ldrb w3, [x1, #-1]
#endif
    DONE
    END loads_before_x

    FUNCTION stores_to_x
#if defined(__arm__)
    strh r0, [r1]
#elif defined(__riscv)
    sh a0, 0(a1)
#else
    strh w0, [x1]
#endif
    DONE
    END stores_to_x

#ifdef __ARM_FEATURE_MVE
/* A vector whose first lanes, `cols` rounded up to 4, and one more are active. */
    FUNCTION loads_active_lanes
    ldrh r3, [r0, #EF_MATRIX_COLS]
    adds r3, #3
    bic r3, r3, #3
    vctp.16 r3
    vpst
    vldrht.u16 q0, [r1]
    DONE
    END loads_active_lanes

    FUNCTION loads_a_lane_too_many
    ldrh r3, [r0, #EF_MATRIX_COLS]
    adds r3, #3
    bic r3, r3, #3
    adds r3, #1
    vctp.16 r3
    vpst
    vldrht.u16 q0, [r1]
    DONE
    END loads_a_lane_too_many
#endif
