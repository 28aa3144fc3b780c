/* Common part of all assembler files: a function in a section of its own, offsets in structs. */
/* clang-format off */
#ifndef EF_ASM_H
#define EF_ASM_H

#include "ef_layout.h"

#ifdef __arm__
    .syntax unified
    .thumb
#endif

    .macro FUNCTION name
    .section .text.\name, "ax", %progbits
    .align 2
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

#endif
