/* GRU cell, 50 instructions for eight units; see ../ef_gru_step.c. */
#include "ef_cells_mve.inc"

/* void ef_gru_step(const ef_gru *gru, const int16_t *x, int16_t *h, int16_t *scratch) */
    FUNCTION ef_gru_step
    push {r4-r11, lr}
    vpush {d8-d15}
    sub sp, #4
    mov r4, r0
    mov r6, r2
    mov r7, r3
    ldrh r5, [r0, #EF_GRU_HIDDEN]
    add r8, r5, r5, lsl #1
    add r8, r3, r8, lsl #1
    PRODUCT EF_GRU_INPUT, r1, r7
    PRODUCT EF_GRU_RECURRENT, r6, r8
    ldrb r4, [r4, #EF_GRU_STATE_BITS]
    EVEN lr, r5
    mov r0, r7 /* a: r, z, n */
    add r1, r0, r5, lsl #1
    add r2, r1, r5, lsl #1
    mov r3, r8 /* u: r, z, n */
    rsb r12, r4, #16 /* state to Q0.15 */
    add r7, r12, #15
    rsbs r7, #0
    vdup.32 q5, r7
    LIMITS q6, q7, r4, r7
    add r4, r3, r5, lsl #1
    add r5, r4, r5, lsl #1
    TABLES
    dlstp.16 lr, lr
1:  SIGMOID_OF_SUM q0, r0, r3 /* r */
    vldrh.16 q1, [r5], #16
    vqrdmulh.s16 q0, q0, q1
    vldrh.16 q1, [r2], #16
    vqadd.s16 q0, q0, q1
    TANH q0 /* n */
    SIGMOID_OF_SUM q4, r1, r4 /* z */
    vldrh.16 q1, [r6]
    vshl.s16 q1, r12
    vmullb.s16 q2, q1, q4
    vmullt.s16 q3, q1, q4
    vorr.i16 q4, #0x8000 /* z - 2^15, as z >= 0; z > 0, so its opposite fits as well */
    vmullb.s16 q1, q0, q4
    vsub.i32 q2, q2, q1
    vmullt.s16 q1, q0, q4
    vsub.i32 q3, q3, q1
    vrshl.s32 q2, q2, q5
    vrshl.s32 q3, q3, q5
    vmovnt.i32 q2, q3
    vmin.s16 q2, q2, q6
    vmax.s16 q2, q2, q7
    vstrh.16 q2, [r6], #16
    letp lr, 1b
    add sp, #4
    vpop {d8-d15}
    pop {r4-r11, pc}
    END ef_gru_step
