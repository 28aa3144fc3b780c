/* Firmware of test_rtl.py: prints what instructions take, as "NAME CYCLES", of COPIES copies each,
 * less what the reading of the counter takes. */
#include "ef_hal.h"

#include <stddef.h>

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)
#define COPIES 64

static uint32_t words[4];

static void print(const char *text) {
    size_t size = 0;
    while (text[size] != '\0') {
        size++;
    }
    ef_hal_write((const uint8_t *)text, size);
}

static void print_number(uint32_t value) {
    char digits[12];
    char *at = digits + sizeof digits - 1;
    *at = '\0';
    do {
        *--at = (char)('0' + value % 10u);
        value /= 10u;
    } while (value != 0u);
    print(at);
}

/* All instructions have four bytes, but for those of "c."; a0: an aligned address, a1: a large
 * number, a2: a negative one, a3: 0. */
#define COST(name, body)                                                                           \
    do {                                                                                           \
        register uint32_t *address __asm("a0") = words;                                            \
        register uint32_t large __asm("a1") = 0x7FFFFFFFu;                                         \
        register uint32_t negative __asm("a2") = 0xFFFFFFFBu;                                      \
        register uint32_t zero __asm("a3") = 0u;                                                   \
        uint32_t begin, end;                                                                       \
        __asm volatile(".option push\n.balign 4\n.option norvc\n.option arch, +zicsr\n"            \
                       "csrr %0, mcycle\n.rept " TEXT(COPIES) "\n" body "\n.endr\n"                \
                                                              "csrr %1, mcycle\n.option pop\n"     \
                       : "=&r"(begin), "=&r"(end)                                                  \
                       : "r"(address), "r"(large), "r"(negative), "r"(zero)                        \
                       : "t0", "t1", "t2", "ra", "memory");                                        \
        print(name " ");                                                                           \
        print_number(end - begin);                                                                 \
        print("\n");                                                                               \
    } while (0)

int main(void) {
    ef_hal_init();
    COST("nothing", "");
    COST("alu", "add t0, a1, a2");
    COST("mul", "mul t0, a1, a2");
    COST("mul_long", "mulh t0, a1, a2");
    COST("mul_long unsigned", "mulhu t0, a1, a2");
    COST("div", "div t0, a1, a2");
    COST("div of negatives", "div t0, a2, a2");
    COST("div of zero", "divu t0, a3, a1");
    COST("div remainder", "remu t0, a1, a2");
    COST("div by zero", "div t0, a1, a3");
    COST("load", "lw t0, 0(a0)");
    COST("load and use", "lw t0, 0(a0)\nadd t1, t0, t0");
    COST("load, add, load", "lw t0, 0(a0)\nadd t1, a1, a2\nlh t2, 6(a0)");
    COST("load misaligned", "lw t0, 1(a0)");
    COST("load misaligned half", "lh t0, 3(a0)");
    COST("load half in a word", "lh t0, 1(a0)");
    COST("store", "sw a1, 0(a0)");
    COST("store misaligned", "sw a1, 2(a0)");
    COST("branch", "bne a1, a1, 1f\n1:");
    COST("branch taken", "beq a1, a1, 1f\nnop\n1:");
    COST("jump", "j 1f\nnop\n1:");
    COST("call", "jal ra, 1f\nnop\n1:");
    /* the target of a jump, of four bytes, begins two bytes before a word ends */
    COST("split", "j 1f\n.option rvc\nc.nop\n.option norvc\n1: add t0, a1, a2\n"
                  ".option rvc\nc.nop\n.option norvc");
    COST("not split", "j 1f\n.option rvc\nc.nop\n1: c.nop\n.option norvc");
#ifdef __riscv_zbb
    COST("min", "min t0, a1, a2");
    COST("sext", "sext.b t0, a1");
    COST("clz", "clz t0, a1");
    COST("rotate", "rori t0, a1, 3");
#endif
    print("END\n");
    return 0;
}
