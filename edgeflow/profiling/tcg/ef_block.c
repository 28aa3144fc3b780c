/* Frames by semihosting, in place of those over the UART (firmware/protocol/ef_link.c), for an
 * emulator alone: requests are read from the file "x" and replies written to the file "y" of the
 * folder that it runs in, a word with the size before each payload, without COBS and CRC. It exits
 * at the end of "x".
 *
 * These functions are put over those of a linked image, so that all the rest of it stays where it
 * is: each must be no longer than the one that it replaces, and needs no memory of its own. */
#include "ef_link.h"

/* The last word of a frame, where a CRC would be: the handle of its file, 0 before it is open. */
#define HANDLE (sizeof(ef_frame_t) / 4 - 1)

enum { OPEN = 0x01, WRITE = 0x05, READ = 0x06, EXIT = 0x18 };
#define APPLICATION_EXIT 0x20026u
#define READ_BINARY 1u
#define WRITE_BINARY 5u

/* In the place of a function that nothing calls now. */
uint32_t ef_cobs_encode(uint32_t operation, uint32_t first, uint32_t second, uint32_t third);

__attribute__((section(".at.ef_cobs_encode"), noinline)) uint32_t ef_cobs_encode(uint32_t operation,
                                                                                 uint32_t first,
                                                                                 uint32_t second,
                                                                                 uint32_t third) {
    const uint32_t block[] = {first, second, third};
    const uint32_t argument = operation == EXIT ? first : (uint32_t)(uintptr_t)block;
#ifdef __riscv
    register uint32_t a0 __asm("a0") = operation;
    register uint32_t a1 __asm("a1") = argument;
    /* these three, of four bytes each and in one page, are what an emulator takes for a call */
    __asm volatile(".option push\n.option norvc\n"
                   "slli x0, x0, 0x1f\nebreak\nsrai x0, x0, 7\n.option pop"
                   : "+r"(a0)
                   : "r"(a1)
                   : "memory");
    return a0;
#else
    register uint32_t r0 __asm("r0") = operation;
    register uint32_t r1 __asm("r1") = argument;
    __asm volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
#endif
}

__attribute__((section(".at.ef_link_receive"))) size_t ef_link_receive(ef_link_t *link) {
    uint32_t name = 'x';
    uint32_t size;
    if (link->in.words[HANDLE] == 0) {
        link->in.words[HANDLE] = ef_cobs_encode(OPEN, (uint32_t)(uintptr_t)&name, READ_BINARY, 1);
        name = 'y';
        link->out.words[HANDLE] = ef_cobs_encode(OPEN, (uint32_t)(uintptr_t)&name, WRITE_BINARY, 1);
    }
    /* what it returns are the bytes that were not there */
    if (ef_cobs_encode(READ, link->in.words[HANDLE], (uint32_t)(uintptr_t)&size, 4) != 0) {
        ef_cobs_encode(EXIT, APPLICATION_EXIT, 0, 0);
    }
    ef_cobs_encode(READ, link->in.words[HANDLE], (uint32_t)(uintptr_t)link->in.bytes, size);
    return size;
}

__attribute__((section(".at.ef_link_send"))) void ef_link_send(ef_frame_t *frame, size_t size) {
    const uint32_t handle = frame->words[HANDLE];
    ef_cobs_encode(WRITE, handle, (uint32_t)(uintptr_t)&size, 4);
    ef_cobs_encode(WRITE, handle, (uint32_t)(uintptr_t)frame->bytes, size);
}
