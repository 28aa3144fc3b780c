/*
 * Matrix-vector product, two rows of int8 weights in a halfword, many columns. 28 instructions for
 * 32 MACs.
 *
 * As ef_matvec_pair_s8_s16_dsp, but the sum of A is kept aside after each 64 columns: |A| < 2^23 is
 * needed of these alone, not of a whole row.
 */
#include "ef_matvec_dsp.inc"

    .equ SUMS, BUFFER /* of A and C; the buffer is written when they are read */

    .macro BLOCK
    BLOCK_OF_PAIRS
    .endm

    .macro KEEP_ASIDE
    ldrd r6, r7, [sp, #SUMS]
    sub r2, r2, r3
    sub r4, r4, r5
    add r6, r6, r2, asr #8
    add r7, r7, r4, asr #8
    strd r6, r7, [sp, #SUMS]
    mov r2, r3
    mov r4, r5
    .endm

    FUNCTION ef_matvec_wide_s8_s16_dsp
    PROLOGUE
    adds r4, #1
    lsrs r4, #1
    ENTER 2
    ENTER_REST
    b 80f
    .align 2
10: ldmia.w r0!, {r2-r5}
    mov r6, #0
    mov r7, #0
    strd r6, r7, [sp, #SUMS]
    ldr.w pc, [sp, #ENTRY]
    REST_OF_PAIRS
    EIGHT_BLOCKS between=KEEP_ASIDE
    ldrd r6, r7, [sp, #SUMS]
    sub r2, r2, r3
    sub r4, r4, r5
    add r2, r6, r2, asr #8
    add r4, r7, r4, asr #8
    ldm sp, {r1, r6, r7}
    MULTIPLY_AND_SATURATE
    STORE_GROUP
    END ef_matvec_wide_s8_s16_dsp
