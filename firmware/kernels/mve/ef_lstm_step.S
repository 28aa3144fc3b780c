/* LSTM cell, 76 instructions for eight units; see ../ef_lstm_step.c. */
#include "ef_cells_mve.inc"

/* void ef_lstm_step(const ef_lstm *lstm, const int16_t *x, int16_t *h, int16_t *c,
                     int16_t *scratch) */
    FUNCTION ef_lstm_step
    push {r4-r11, lr}
    vpush {d8-d13}
    sub sp, #4
    mov r4, r0
    mov r10, r2
    mov r6, r3
    ldr r9, [sp, #88] /* scratch */
    ldrh r5, [r0, #EF_LSTM_HIDDEN]
    add r11, r9, r5, lsl #3
    PRODUCT EF_LSTM_INPUT, r1, r9
    PRODUCT EF_LSTM_RECURRENT, r10, r11
    str r10, [sp]
    ldrb r12, [r4, #EF_LSTM_CELL_FRACTION]
    subs r12, #15
    EVEN lr, r5
    mov r0, r9 /* a: i, f, g */
    add r1, r0, r5, lsl #1
    add r2, r1, r5, lsl #1
    mov r3, r11 /* u: i, f, g */
    push {r4, r6}
    add r4, r3, r5, lsl #1
    add r5, r4, r5, lsl #1
    TABLES
    dlstp.16 lr, lr
1:  SIGMOID_OF_SUM q0, r0, r3 /* i */
    vldrh.16 q4, [r2], #16
    vldrh.16 q1, [r5], #16
    vqadd.s16 q4, q4, q1
    TANH q4 /* g */
    vmullb.s16 q5, q0, q4
    vmullt.s16 q0, q0, q4
    vshl.s32 q5, r12
    vshl.s32 q0, r12
    SIGMOID_OF_SUM q4, r1, r4 /* f */
    vldrh.16 q1, [r6]
    vmullb.s16 q2, q1, q4
    vmullt.s16 q3, q1, q4
    vadd.i32 q2, q2, q5
    vadd.i32 q3, q3, q0
    vqrshrnb.s32 q2, q2, #15
    vqrshrnt.s32 q2, q3, #15
    vstrh.16 q2, [r6], #16
    letp lr, 1b
    pop {r4, r6}
    ldrh r3, [r4, #EF_LSTM_HIDDEN]
    ldr r5, [sp]
    ldr r0, [sp, #88]
    EVEN lr, r3
    add r1, r3, r3, lsl #1
    add r0, r0, r1, lsl #1 /* a and u: o */
    add r1, r0, r3, lsl #3
    ldrb r2, [r4, #EF_LSTM_CELL_FRACTION]
    rsb r2, r2, #12
    ldrb r4, [r4, #EF_LSTM_STATE_BITS]
    sub r3, r4, #31
    LIMITS q4, q5, r4, r12
    dlstp.16 lr, lr
2:  vldrh.16 q0, [r6], #16
    vqrshl.s16 q0, r2 /* c in Q3.12 */
    TANH q0
    SIGMOID_OF_SUM q6, r0, r1 /* o */
    vmullb.s16 q1, q0, q6
    vmullt.s16 q0, q0, q6
    vrshl.s32 q1, r3
    vrshl.s32 q0, r3
    vmovnt.i32 q1, q0
    vmin.s16 q1, q1, q4
    vmax.s16 q1, q1, q5
    vstrh.16 q1, [r5], #16
    letp lr, 2b
    add sp, #4
    vpop {d8-d13}
    pop {r4-r11, pc}
    END ef_lstm_step
