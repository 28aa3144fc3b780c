/* QEMU plugin that watches the loads and stores of a step: each must lie in memory that the layer
 * at work was given.
 *
 * A step is what runs between ef_profile_begin and ef_profile_end; ef_profile_layer leads to the
 * next layer. The function `enter` loads from the address where the stack of the step ends, so that
 * what the step has on its stack is known. Instructions of the functions `quiet` are not watched.
 *
 * arguments: begin,layer,end,enter=ADDRESS:SIZE  functions of the image; `quiet` any number of
 * times code=ADDRESS:SIZE   instructions, with literals between them: any number of times
 *            ranges=FILE         lines "LAYER ADDRESS SIZE ACCESS": 1 loads, 2 stores, 3 both; what
 *                                layer -1 has, all have
 *            stack=BYTES         below the address that `enter` tells
 *            out=FILE
 *
 * result: "H layer step pc address size store" for each access outside, at most MAX_HITS, and after
 * each step "S" with the number of accesses of each layer.
 */
#include "../../edgeflow/profiling/tcg/qemu_api.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* log2 of the bytes of an access; of the same interface as what the header declares */
unsigned qemu_plugin_mem_size_shift(uint32_t info);

#define EXPORT __attribute__((visibility("default")))
#define MAX_QUIET 16
#define MAX_CODE 16
#define MAX_HITS 1000

EXPORT int qemu_plugin_version = EF_API_OLDEST;

typedef struct {
    uint64_t start;
    uint64_t size;
} range_t;

typedef struct {
    range_t range;
    int layer;
    int access;
} rule_t;

enum { BEGIN, LAYER, END, ENTER, MARKERS };
enum { LOAD = 1, STORE = 2 };

static const char *const marker_names[MARKERS] = {"begin", "layer", "end", "enter"};
static range_t markers[MARKERS], quiet[MAX_QUIET], code[MAX_CODE];
static int quiet_count, code_count;
static rule_t *rules; /* by layer */
static size_t rule_count, shared_count;
static size_t *first_rule; /* of each layer, and the end */
static int layer_count;
static uint64_t stack_bytes, stack_top;
static FILE *out;

static int in_step, layer, hits;
static unsigned long step;
static uint64_t *accesses; /* of each layer in this step */

static int inside(range_t range, uint64_t address, uint64_t size) {
    return address >= range.start && size <= range.size &&
           address - range.start <= range.size - size;
}

static int inside_any(const range_t *ranges, int count, uint64_t address) {
    for (int i = 0; i < count; i++) {
        if (inside(ranges[i], address, 1)) {
            return 1;
        }
    }
    return 0;
}

static int allowed(const rule_t *from, const rule_t *to, uint64_t address, uint64_t size,
                   int access) {
    for (; from < to; from++) {
        if ((from->access & access) != 0 && inside(from->range, address, size)) {
            return 1;
        }
    }
    return 0;
}

static void on_access(unsigned vcpu, uint32_t info, uint64_t address, void *user) {
    (void)vcpu;
    if (!in_step) {
        return;
    }
    accesses[layer]++;
    uint64_t size = (uint64_t)1 << qemu_plugin_mem_size_shift(info);
    int access = qemu_plugin_mem_is_store(info) ? STORE : LOAD;
    range_t stack = {stack_top - stack_bytes, stack_bytes};
    if (inside(stack, address, size) ||
        allowed(rules + first_rule[layer], rules + first_rule[layer + 1], address, size, access) ||
        allowed(rules, rules + shared_count, address, size, access) ||
        (access == LOAD && inside_any(code, code_count, address) &&
         inside_any(code, code_count, address + size - 1))) {
        return;
    }
    if (hits++ < MAX_HITS) {
        fprintf(out, "H %d %lu %llu %llu %llu %d\n", layer, step,
                (unsigned long long)(uintptr_t)user, (unsigned long long)address,
                (unsigned long long)size, access == STORE);
    }
}

static void on_enter(unsigned vcpu, uint32_t info, uint64_t address, void *user) {
    (void)vcpu;
    (void)info;
    (void)user;
    stack_top = address;
}

static void on_begin(unsigned vcpu, void *user) {
    (void)vcpu;
    (void)user;
    in_step = 1;
    layer = 0;
    memset(accesses, 0, (size_t)layer_count * sizeof *accesses);
}

static void on_layer(unsigned vcpu, void *user) {
    (void)vcpu;
    (void)user;
    if (in_step && layer + 1 < layer_count) {
        layer++;
    }
}

static void on_end(unsigned vcpu, void *user) {
    (void)vcpu;
    (void)user;
    if (!in_step) {
        return;
    }
    in_step = 0;
    step++;
    fputs("S", out);
    for (int i = 0; i < layer_count; i++) {
        fprintf(out, " %llu", (unsigned long long)accesses[i]);
    }
    fputs("\n", out);
    fflush(out); /* QEMU may be killed at any time */
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb) {
    static const ef_execute_cb on_marker[] = {on_begin, on_layer, on_end};
    (void)id;
    size_t count = qemu_plugin_tb_n_insns(tb);
    for (size_t i = 0; i < count; i++) {
        struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(tb, i);
        uint64_t address = qemu_plugin_insn_vaddr(instruction);
        if (i == 0) {
            for (int m = BEGIN; m <= END; m++) {
                if (markers[m].start == address) {
                    qemu_plugin_register_vcpu_tb_exec_cb(tb, on_marker[m], QEMU_PLUGIN_CB_NO_REGS,
                                                         NULL);
                }
            }
        }
        int entering = inside(markers[ENTER], address, 1);
        if (entering || !inside_any(quiet, quiet_count, address)) {
            /* both kinds, as QEMU 7.2 confuses them when it registers callbacks */
            qemu_plugin_register_vcpu_mem_cb(instruction, entering ? on_enter : on_access,
                                             QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW,
                                             (void *)(uintptr_t)address);
        }
    }
}

static int by_layer(const void *a, const void *b) {
    return ((const rule_t *)a)->layer - ((const rule_t *)b)->layer;
}

static int read_ranges(const char *path) {
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        fprintf(stderr, "ef_guard: %s: %s\n", path, strerror(errno));
        return -1;
    }
    rule_t rule;
    unsigned long long start, size;
    while (fscanf(file, "%d %llu %llu %d", &rule.layer, &start, &size, &rule.access) == 4) {
        rule.range.start = start;
        rule.range.size = size;
        rules = realloc(rules, (rule_count + 1) * sizeof *rules);
        rules[rule_count++] = rule;
        if (rule.layer >= layer_count) {
            layer_count = rule.layer + 1;
        }
    }
    int complete = feof(file);
    fclose(file);
    if (!complete || layer_count == 0) {
        fprintf(stderr, "ef_guard: %s: not a list of ranges\n", path);
        return -1;
    }
    qsort(rules, rule_count, sizeof *rules, by_layer);
    first_rule = calloc((size_t)layer_count + 1, sizeof *first_rule);
    accesses = calloc((size_t)layer_count, sizeof *accesses);
    for (shared_count = 0; rules[shared_count].layer < 0; shared_count++) {
    }
    size_t at = shared_count;
    for (int i = 0; i <= layer_count; i++) {
        first_rule[i] = at;
        while (at < rule_count && rules[at].layer == i) {
            at++;
        }
    }
    return 0;
}

static range_t parse_range(const char *value) {
    char *rest;
    range_t range = {strtoull(value, &rest, 0), 0};
    if (*rest == ':') {
        range.size = strtoull(rest + 1, NULL, 0);
    }
    return range;
}

static int parse_argument(const char *name, const char *value) {
    for (int i = 0; i < MARKERS; i++) {
        if (strcmp(name, marker_names[i]) == 0) {
            markers[i] = parse_range(value);
            return 0;
        }
    }
    if (strcmp(name, "quiet") == 0 && quiet_count < MAX_QUIET) {
        quiet[quiet_count++] = parse_range(value);
    } else if (strcmp(name, "code") == 0 && code_count < MAX_CODE) {
        code[code_count++] = parse_range(value);
    } else if (strcmp(name, "stack") == 0) {
        stack_bytes = strtoull(value, NULL, 0);
    } else if (strcmp(name, "ranges") == 0) {
        return read_ranges(value);
    } else if (strcmp(name, "out") == 0) {
        out = fopen(value, "w");
        if (out == NULL) {
            fprintf(stderr, "ef_guard: %s: %s\n", value, strerror(errno));
            return -1;
        }
    } else {
        fprintf(stderr, "ef_guard: unknown or one too many: '%s'\n", name);
        return -1;
    }
    return 0;
}

/* Newer loaders refuse version 1, older ones version 2: report the one that this QEMU expects. */
__attribute__((constructor)) static void choose_version(void) {
    if (qemu_plugin_scoreboard_new != NULL) {
        qemu_plugin_version = 2;
    }
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc,
                               char **argv) {
    (void)info;
    for (int i = 0; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        if (value == NULL) {
            fprintf(stderr, "ef_guard: argument '%s' has no value\n", argv[i]);
            return -1;
        }
        *value = '\0';
        if (parse_argument(argv[i], value + 1) != 0) {
            return -1;
        }
    }
    for (int i = 0; i < MARKERS; i++) {
        if (markers[i].size == 0) {
            fprintf(stderr, "ef_guard: no %s\n", marker_names[i]);
            return -1;
        }
    }
    if (rules == NULL || out == NULL) {
        fprintf(stderr, "ef_guard: ranges and out are needed\n");
        return -1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
    return 0;
}
