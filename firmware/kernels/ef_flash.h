/*
 * Constants that stay in flash. The loads of an AVR do not reach its flash: what is declared
 * `const EF_FLASH` is read by other instructions, and a pointer to it has another type. On all
 * other cores EF_FLASH means nothing. Arrays are in flash; structs that point to them are not, but
 * those that a matrix has as its weights.
 */
#ifndef EF_FLASH_H
#define EF_FLASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __AVR__
#define EF_FLASH __flash
/* Declares a pointer to a constant struct in flash, or to a copy of it. */
#define EF_FROM_FLASH(type, name, address)                                                         \
    const type name##_copy = *(const EF_FLASH type *)(address), *const name = &name##_copy
/* A text in flash: a literal is data. */
#define EF_TEXT(literal)                                                                           \
    (__extension__({                                                                               \
        static const EF_FLASH char text_in_flash[] = literal;                                      \
        &text_in_flash[0];                                                                         \
    }))

static inline void ef_copy_flash(void *to, const EF_FLASH void *from, size_t size) {
    const EF_FLASH uint8_t *byte = from;
    for (uint8_t *at = to; size > 0; size--)
        *at++ = *byte++;
}
#else
#define EF_FLASH
#define EF_FROM_FLASH(type, name, address) const type *const name = (address)
#define EF_TEXT(literal) literal
#define ef_copy_flash memcpy
#endif

#endif
