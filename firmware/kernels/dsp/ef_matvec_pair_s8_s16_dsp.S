/*
 * Matrix-vector product, two rows of int8 weights in a halfword. 27 instructions for 32 MACs.
 *
 * A halfword holds 256 a + b, a and b weights of the rows A and B. SMLAD of the raw word gives
 * 256 A + B, SXTB16 leaves b, a second SMLAD gives B: three instructions for 4 MACs. Their
 * difference is 256 A, whatever wraps on the way, as long as |A| < 2^23 for every input; this and
 * multipliers that already hold the shift are checked when the weights are packed.
 *
 * Two columns are AB(c0 c1) CD(c0 c1).
 */
#include "ef_matvec_dsp.inc"

    .macro BLOCK
    BLOCK_OF_PAIRS
    .endm

    FUNCTION ef_matvec_pair_s8_s16_dsp
    PROLOGUE
    adds r4, #1
    lsrs r4, #1
    mov r12, #128
    ENTER 2
    ENTER_REST
    b 80f
    .align 2
10: ldmia.w r0!, {r2-r5}
    ldr.w pc, [sp, #ENTRY]
    REST_OF_PAIRS
    EIGHT_BLOCKS
    ldm sp, {r1, r6, r7, r12}
    REQUANTIZE_PAIRS r8, r9, r10, r11, r12
    STORE_GROUP
    END ef_matvec_pair_s8_s16_dsp
