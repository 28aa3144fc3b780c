/* What generated C takes of <string.h>, as WebAssembly has no C library. */
#ifndef EF_STRING_H
#define EF_STRING_H

#include <stddef.h>

void *memcpy(void *to, const void *from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int value, size_t size);

#endif
