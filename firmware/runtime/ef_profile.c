#include "ef_profile.h"
#if defined(EF_GPIO_MARKER) || defined(EF_GPIO_LAYERS)
#include "ef_hal.h"
#endif

#ifdef EF_PROFILE

/* Found by address, so each must stay a function of its own: not inlined, cloned or merged with
 * another. The bodies differ in length because a linker may fold functions of equal code. */
#if defined(__clang__)
#define MARKER __attribute__((noinline, used))
#else
#define MARKER __attribute__((noinline, noclone, no_icf, used))
#endif

MARKER void ef_profile_begin(void) {
#ifdef EF_GPIO_MARKER
    ef_hal_marker(1);
#endif
    __asm volatile("nop" ::: "memory");
}

MARKER void ef_profile_layer(void) {
#ifdef EF_GPIO_LAYERS
    ef_hal_layer_mark();
#endif
    __asm volatile("nop\n\tnop" ::: "memory");
}

MARKER void ef_profile_end(void) {
#ifdef EF_GPIO_MARKER
    ef_hal_marker(0);
#endif
    __asm volatile("nop\n\tnop\n\tnop" ::: "memory");
}

#endif
