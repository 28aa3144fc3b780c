/*
 * Fourier transform of real values: firmware/kernels/ef_real_fft.c with four values in registers at
 * a time, factors as words of cosine and sine.
 *
 * z is aligned to 4 bytes; words of factors may be at odd halfwords.
 */
#include "ef_asm.h"

    .set FACTORS, 0 /* of the pass */
    .set FACTORS_END, 4
    .set Z, 8
    .set Z_END, 12
    .set SIZE, 16 /* bytes of z: 4 a value */
    .set PART, 20 /* bytes of a part */
    .set FRAME, 24

/* half of (re + j im) (cosine - j sine); `factor` is lost */
    .macro TURN to_re, to_im, re, im, factor
    smulwb \to_re, \re, \factor
    smulwb \to_im, \im, \factor
    smlawt \to_re, \im, \factor, \to_re
    smulwt \factor, \re, \factor
    sub \to_im, \to_im, \factor
    .endm

    .macro BITS_OF value, all, free
    eor \free, \value, \value, asr #31
    orr \all, \all, \free
    .endm

/*
 * Registers of a pass: r0-r3 the four parts, r12 factors.
 */
    FUNCTION ef_real_fft
    push {r4-r11, lr}
    sub sp, #FRAME
    lsls r3, r1, #2
    adds r4, r0, r3
    str r2, [sp, #FACTORS]
    strd r0, r4, [sp, #Z]
    str r3, [sp, #SIZE]
    mov lr, r4
    clz r5, r3
    lsls r5, r5, #31
    bmi 20f /* half of the size is no power of 4 */

    /* radix 4, without factors */
    movs r12, #32
10: ldrd r4, r5, [r0]
    ldrd r6, r7, [r0, #8]
    ldrd r8, r9, [r0, #16]
    ldrd r10, r11, [r0, #24]
    add r1, r4, r8 /* sum */
    add r2, r5, r9
    subs r4, r4, r8 /* apart */
    sub r5, r5, r9
    add r3, r6, r10 /* odd */
    add r8, r7, r11
    sub r6, r6, r10 /* odd, apart */
    sub r7, r7, r11
    add r9, r1, r3
    add r10, r2, r8
    strd r9, r10, [r0]
    subs r1, r1, r3
    sub r2, r2, r8
    strd r1, r2, [r0, #16]
    add r9, r4, r7
    sub r10, r5, r6
    strd r9, r10, [r0, #8]
    subs r4, r4, r7
    add r5, r5, r6
    strd r4, r5, [r0, #24]
    adds r0, #32
    cmp r0, lr
    blo 10b
    b 30f

    /* radix 2 */
20: movs r12, #16
21: ldrd r4, r5, [r0]
    ldrd r6, r7, [r0, #8]
    add r8, r4, r6
    add r9, r5, r7
    strd r8, r9, [r0]
    subs r4, r4, r6
    subs r5, r5, r7
    strd r4, r5, [r0, #8]
    adds r0, #16
    cmp r0, lr
    blo 21b

    /* passes of radix 4: r12 bytes of a part */
30: str r12, [sp, #PART]
    ldr r0, [sp, #Z]
    ldr r4, [sp, #FACTORS]
    add r5, r12, r12, lsl #1
    add r5, r4, r5, lsr #1 /* 12 bytes of factors for 8 of values */
    str r5, [sp, #FACTORS_END]
31: ldr r12, [sp, #FACTORS]
    ldr r4, [sp, #PART]
    adds r1, r0, r4
    adds r2, r1, r4
    adds r3, r2, r4
32: ldrd r4, r5, [r1]
    ldr r6, [r12], #4
    TURN r7, r8, r4, r5, r6
    ldrd r4, r5, [r3]
    ldr r6, [r12, #4]
    TURN r9, r10, r4, r5, r6
    add r4, r7, r9 /* odd */
    add r5, r8, r10
    sub r7, r7, r9 /* odd, apart */
    sub r8, r8, r10
    ldrd r9, r10, [r2]
    ldr r6, [r12], #8
    TURN r11, lr, r9, r10, r6
    ldrd r9, r10, [r0]
    add r6, r11, r9, asr #1 /* sum */
    rsb r11, r11, r9, asr #1 /* apart */
    add r9, lr, r10, asr #1
    rsb lr, lr, r10, asr #1
    add r10, r6, r4
    sub r6, r6, r4
    add r4, r9, r5
    sub r9, r9, r5
    strd r10, r4, [r0], #8
    strd r6, r9, [r2], #8
    add r10, r11, r8
    sub r11, r11, r8
    sub r4, lr, r7
    add lr, lr, r7
    strd r10, r4, [r1], #8
    strd r11, lr, [r3], #8
    ldr r4, [sp, #FACTORS_END]
    cmp r12, r4
    bne 32b
    mov r0, r3 /* behind the fourth part */
    ldr r4, [sp, #Z_END]
    cmp r0, r4
    bne 31b
    str r12, [sp, #FACTORS]
    ldr r12, [sp, #PART]
    lsl r12, r12, #2
    ldr r4, [sp, #SIZE]
    cmp r12, r4
    bne 30b

    /* bins: r0 from the first on, r1 from the last back, r3 all bits */
    ldrd r0, r1, [sp, #Z]
    ldr r12, [sp, #FACTORS]
    ldr r2, [sp, #SIZE]
    add r2, r0, r2, lsr #1 /* the bin in the middle */
    ldrd r4, r5, [r2]
    eor r3, r4, r4, asr #31
    BITS_OF r5, r3, r4
    adds r0, #8
    subs r1, #8
40: ldrd r4, r5, [r0]
    ldrd r6, r7, [r1]
    ldr r8, [r12], #4
    adds r9, r5, r7
    subs r10, r6, r4
    adds r4, r4, r6 /* even */
    subs r5, r5, r7
    TURN r6, r7, r9, r10, r8
    add r8, r6, r4, asr #1
    rsb r6, r6, r4, asr #1
    add r9, r7, r5, asr #1
    rsb r7, r7, r5, asr #1
    strd r8, r9, [r0], #8
    strd r6, r7, [r1], #-8
    BITS_OF r8, r3, r4
    BITS_OF r9, r3, r4
    BITS_OF r6, r3, r4
    BITS_OF r7, r3, r4
    cmp r0, r2
    bne 40b
    mov r0, r3
    add sp, #FRAME
    pop {r4-r11, pc}
    END ef_real_fft
