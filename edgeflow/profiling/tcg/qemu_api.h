/* The part of QEMU's documented TCG plugin interface that the counter uses, declared here because
 * distributions do not package the header.
 *
 * All of it kept its binary form from API version 1 (QEMU 6.0) to version 5 (QEMU 10.1). Not used:
 * inline operations (changed in version 2) and qemu_plugin_insn_data (changed in version 3).
 * https://www.qemu.org/docs/master/devel/tcg-plugins.html
 */
#ifndef QEMU_API_H
#define QEMU_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EF_API_OLDEST 1 /* API versions for which these declarations hold */
#define EF_API_NEWEST 5

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;

typedef struct {
    const char *target_name;
    struct {
        int min;
        int cur;
    } version;
    bool system_emulation;
    struct {
        int smp_vcpus;
        int max_vcpus;
    } system;
} qemu_info_t;

enum { QEMU_PLUGIN_CB_NO_REGS = 0 };
enum { QEMU_PLUGIN_MEM_RW = 3 };

typedef void (*ef_translate_cb)(qemu_plugin_id_t, struct qemu_plugin_tb *);
typedef void (*ef_execute_cb)(unsigned vcpu, void *user);
typedef void (*ef_memory_cb)(unsigned vcpu, uint32_t info, uint64_t address, void *user);

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, ef_translate_cb);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, ef_execute_cb, int flags,
                                          void *user);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *, ef_memory_cb, int flags, int rw,
                                      void *user);
bool qemu_plugin_mem_is_store(uint32_t info);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *);

/* Present from API version 2 on, whose loaders refuse version 1. */
extern void *qemu_plugin_scoreboard_new(size_t) __attribute__((weak));

#endif
