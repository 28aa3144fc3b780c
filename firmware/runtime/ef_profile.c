#include "ef_profile.h"

#ifdef EF_PROFILE

/* Found by address, so each must stay a function of its own: not inlined, cloned or merged with
 * another. The bodies differ in length because a linker may fold functions of equal code. */
#if defined(__clang__)
#define MARKER __attribute__((noinline, used))
#else
#define MARKER __attribute__((noinline, noclone, no_icf, used))
#endif

MARKER void ef_profile_begin(void) {
    __asm volatile("nop" ::: "memory");
}

MARKER void ef_profile_layer(void) {
    __asm volatile("nop\n\tnop" ::: "memory");
}

MARKER void ef_profile_end(void) {
    __asm volatile("nop\n\tnop\n\tnop" ::: "memory");
}

#endif
