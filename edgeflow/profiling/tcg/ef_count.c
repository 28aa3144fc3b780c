/* QEMU plugin that counts the instructions of a step by class and by layer.
 *
 * Counted is every instruction executed between the return of ef_profile_begin and the call of
 * ef_profile_end. The marker functions themselves and the instructions that call them are not.
 *
 * One callback per translation block counts its runs; classes are summed up at the
 * marks. A branch is taken where a block does not start at the end of the one before it. It is
 * split where its target is an instruction of four bytes that crosses a word, which takes two
 * fetches.
 *
 * arguments: begin,layer,end=ADDRESS:SIZE of the markers (layer may be absent)
 *            map=FILE   classes of the instructions (see map.py)
 *            out=FILE   result
 *            rom=ADDRESS:SIZE, line=BYTES, lines=N   count lines that a data cache of N lines
 *                       (fully associative, least recently used goes) must fetch from this region
 *
 * result: words of 64 bits in the host's byte order. Of a step: the number of its layers, with the
 * rest after the last mark as one more, then of each "mix, taken, split, fetched". A mix is the
 * instructions by class, told when it first occurs, before its step: MIX + the number of its
 * classes, then of each "class << 56 | count". The first mix is number 1. Most layers run the same
 * instructions in every step, so a step takes a hundred bytes, not thousands.
 */
#include "qemu_api.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))
#define CLASSES 256
#define BUCKETS 4096
#define MAX_LINES 1024
#define MIX (1ull << 63)
#define CLASS_BRANCH 1 /* the three classes that can call a marker; see classes.py */
#define CLASS_CALL 2
#define CLASS_JUMP 19
#define CLASS_STORE 18
#define CLASS_STORES 128 /* + number of registers */
#define CLASS_LOOP 5     /* its jump is no taken branch: the core knows where it goes */

EXPORT int qemu_plugin_version = EF_API_OLDEST;

typedef struct {
    uint64_t start;
    uint64_t size;
} range_t;

typedef struct block {
    struct block *next;    /* in its bucket */
    struct block *touched; /* in the list of blocks that ran since the last mark */
    uint64_t start;
    uint64_t end;
    uint64_t runs;
    size_t instructions;
    int split;         /* whether the first instruction crosses a word */
    uint8_t classes[]; /* of each instruction */
} block_t;

typedef struct {
    range_t range;
    uint8_t *classes; /* one for every two bytes */
} region_t;

enum { BEGIN, LAYER, END, MARKERS };

static range_t markers[MARKERS];
static region_t *regions;
static uint32_t region_count;
static block_t *buckets[BUCKETS];
static FILE *out;

static range_t rom;
static unsigned line_bytes = 16, cache_lines = 1;
static uint64_t cache[MAX_LINES]; /* most recently used first */

static int in_step;
static block_t *touched;
static block_t *last; /* the block that ran before; NULL after a marker */
static uint64_t taken, split, fetched;

typedef struct mix {
    struct mix *next; /* in its bucket */
    uint64_t number;
    uint64_t counts[CLASSES];
} mix_t;

static mix_t *mixes[BUCKETS];
static uint64_t mix_count;

typedef struct {
    uint64_t *words;
    size_t size, space;
} words_t;

static words_t step = {NULL, 0, 0};  /* so far, behind a place for the number of its layers */
static words_t fresh = {NULL, 0, 0}; /* mixes that it has first */

static int inside(range_t range, uint64_t address) {
    return address - range.start < range.size;
}

static uint8_t class_of(uint64_t address) {
    for (uint32_t i = 0; i < region_count; i++) {
        if (inside(regions[i].range, address)) {
            return regions[i].classes[(address - regions[i].range.start) / 2];
        }
    }
    return 0;
}

static void *need(void *memory) {
    if (memory == NULL) {
        fprintf(stderr, "ef_count: out of memory\n");
        exit(1);
    }
    return memory;
}

static void append(words_t *words, uint64_t value) {
    if (words->size == words->space) {
        words->space = 2 * words->space + 512;
        words->words = need(realloc(words->words, words->space * sizeof value));
    }
    words->words[words->size++] = value;
}

/* Number of a mix, which is told if it is new. */
static uint64_t number_of(const uint64_t *counts) {
    uint64_t hash = 0, classes = 0;
    for (unsigned i = 0; i < CLASSES; i++) {
        hash = (hash ^ counts[i]) * 0x9E3779B97F4A7C15u;
        hash ^= hash >> 32;
        classes += counts[i] > 0;
    }
    mix_t **bucket = &mixes[hash % BUCKETS];
    for (const mix_t *mix = *bucket; mix != NULL; mix = mix->next) {
        if (memcmp(mix->counts, counts, sizeof mix->counts) == 0) {
            return mix->number;
        }
    }
    mix_t *mix = need(malloc(sizeof *mix));
    memcpy(mix->counts, counts, sizeof mix->counts);
    mix->number = ++mix_count;
    mix->next = *bucket;
    *bucket = mix;
    append(&fresh, MIX | classes);
    for (uint64_t i = 0; i < CLASSES; i++) {
        if (counts[i] > 0) {
            append(&fresh, i << 56 | counts[i]);
        }
    }
    return mix->number;
}

static void forget(void) {
    for (block_t *block = touched; block != NULL; block = block->touched) {
        block->runs = 0;
    }
    touched = NULL;
    taken = 0;
    split = 0;
    fetched = 0;
}

/* Close a layer: sum up the classes of the blocks that ran in it. */
static void mark(void) {
    uint64_t counts[CLASSES] = {0};
    for (const block_t *block = touched; block != NULL; block = block->touched) {
        for (size_t i = 0; i < block->instructions; i++) {
            counts[block->classes[i]] += block->runs;
        }
    }
    if (last != NULL && last->instructions > 0) {
        /* the call of the marker is not part of the step */
        uint8_t call = last->classes[last->instructions - 1];
        int calls = call == CLASS_CALL || call == CLASS_BRANCH || call == CLASS_JUMP;
        if (calls && counts[call] > 0) {
            counts[call]--;
        }
    }
    append(&step, number_of(counts));
    append(&step, taken);
    append(&step, split);
    append(&step, fetched);
    forget();
}

static void on_block(unsigned vcpu, void *user) {
    (void)vcpu;
    block_t *block = user;
    if (!in_step) {
        return;
    }
    if (last != NULL && last->end != block->start &&
        last->classes[last->instructions - 1] != CLASS_LOOP) {
        taken++;
        split += (uint64_t)block->split;
    }
    last = block;
    if (block->runs++ == 0) {
        block->touched = touched;
        touched = block;
    }
}

static void give_up(void) {
    const int why = errno;
    fprintf(stderr, "ef_count: cannot write the counts: %s\n", strerror(why));
    exit(why); /* the message may have had no place, too */
}

static void tell(const words_t *words) {
    if (fwrite(words->words, sizeof words->words[0], words->size, out) != words->size) {
        give_up();
    }
}

static void on_begin(unsigned vcpu, void *user) {
    (void)vcpu;
    (void)user;
    forget(); /* of a step that never ended */
    step.size = 0;
    append(&step, 0);
    last = NULL;
    in_step = 1;
}

static void on_layer(unsigned vcpu, void *user) {
    (void)vcpu;
    (void)user;
    if (in_step) {
        mark();
        last = NULL;
    }
}

static void on_end(unsigned vcpu, void *user) {
    (void)vcpu;
    (void)user;
    if (!in_step) {
        return;
    }
    mark();
    in_step = 0;
    step.words[0] = (step.size - 1) / 4;
    tell(&fresh);
    tell(&step);
    fresh.size = 0;
    /* flushed at each step: QEMU may be killed at any time */
    if (fflush(out) != 0) {
        give_up();
    }
}

static void on_read(unsigned vcpu, uint32_t info, uint64_t address, void *user) {
    (void)vcpu;
    (void)user;
    /* asked here since QEMU 7.2 confuses reads and writes when it registers callbacks */
    if (!in_step || !inside(rom, address) || qemu_plugin_mem_is_store(info)) {
        return;
    }
    uint64_t line = address / line_bytes + 1; /* 0: empty */
    unsigned i = 0;
    while (i + 1 < cache_lines && cache[i] != line) {
        i++;
    }
    if (cache[i] != line) {
        fetched++;
    }
    memmove(cache + 1, cache, i * sizeof cache[0]);
    cache[0] = line;
}

static block_t *find_block(const struct qemu_plugin_tb *tb, uint64_t start, size_t count) {
    block_t **bucket = &buckets[(start / 2) % BUCKETS];
    for (block_t *block = *bucket; block != NULL; block = block->next) {
        if (block->start == start && block->instructions == count) {
            return block; /* translated before */
        }
    }
    block_t *block = need(calloc(1, sizeof *block + count));
    block->start = start;
    block->end = start;
    block->instructions = count;
    for (size_t i = 0; i < count; i++) {
        const struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(tb, i);
        uint64_t address = qemu_plugin_insn_vaddr(instruction);
        block->classes[i] = class_of(address);
        if (i == 0) {
            block->split = address % 4 == 2 && qemu_plugin_insn_size(instruction) == 4;
        }
        block->end = address + qemu_plugin_insn_size(instruction);
    }
    block->next = *bucket;
    *bucket = block;
    return block;
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb) {
    static const ef_execute_cb on_marker[MARKERS] = {on_begin, on_layer, on_end};
    (void)id;
    size_t count = qemu_plugin_tb_n_insns(tb);
    if (count == 0) {
        return;
    }
    uint64_t start = qemu_plugin_insn_vaddr(qemu_plugin_tb_get_insn(tb, 0));
    for (int i = 0; i < MARKERS; i++) {
        if (inside(markers[i], start)) {
            if (markers[i].start == start) {
                qemu_plugin_register_vcpu_tb_exec_cb(tb, on_marker[i], QEMU_PLUGIN_CB_NO_REGS,
                                                     NULL);
            }
            return;
        }
    }
    block_t *block = find_block(tb, start, count);
    qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, QEMU_PLUGIN_CB_NO_REGS, block);
    for (size_t i = 0; rom.size > 0 && i < count; i++) {
        if (block->classes[i] == CLASS_STORE || block->classes[i] > CLASS_STORES) {
            continue; /* reads nothing */
        }
        qemu_plugin_register_vcpu_mem_cb(qemu_plugin_tb_get_insn(tb, i), on_read,
                                         QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW, NULL);
    }
}

static int read_map(const char *path) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fprintf(stderr, "ef_count: %s: %s\n", path, strerror(errno));
        return -1;
    }
    char magic[8];
    int good = fread(magic, 1, 8, file) == 8 && memcmp(magic, "EFMAP 1\n", 8) == 0 &&
               fread(&region_count, 4, 1, file) == 1 && region_count < 65536;
    if (good) {
        regions = need(calloc(region_count + 1, sizeof *regions));
    }
    for (uint32_t i = 0; good && i < region_count; i++) {
        range_t *range = &regions[i].range;
        good = fread(&range->start, 8, 1, file) == 1 && fread(&range->size, 8, 1, file) == 1 &&
               range->size < (1u << 30);
        if (good) {
            size_t units = (size_t)(range->size + 1) / 2;
            regions[i].classes = need(calloc(units + 1, 1));
            good = fread(regions[i].classes, 1, units, file) == units;
        }
    }
    fclose(file);
    if (!good) {
        fprintf(stderr, "ef_count: %s: not a class map\n", path);
    }
    return good ? 0 : -1;
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
    static const char *const names[MARKERS] = {"begin", "layer", "end"};
    for (int i = 0; i < MARKERS; i++) {
        if (strcmp(name, names[i]) == 0) {
            markers[i] = parse_range(value);
            return 0;
        }
    }
    if (strcmp(name, "rom") == 0) {
        rom = parse_range(value);
    } else if (strcmp(name, "line") == 0) {
        line_bytes = (unsigned)strtoul(value, NULL, 0);
    } else if (strcmp(name, "lines") == 0) {
        cache_lines = (unsigned)strtoul(value, NULL, 0);
    } else if (strcmp(name, "map") == 0) {
        return read_map(value);
    } else if (strcmp(name, "out") == 0) {
        out = fopen(value, "wb");
        if (out == NULL) {
            fprintf(stderr, "ef_count: %s: %s\n", value, strerror(errno));
            return -1;
        }
    } else {
        fprintf(stderr, "ef_count: unknown argument '%s'\n", name);
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
    if (info->version.min > EF_API_NEWEST || info->version.cur < EF_API_OLDEST) {
        fprintf(stderr, "ef_count: this QEMU has plugin API %d to %d; known are %d to %d\n",
                info->version.min, info->version.cur, EF_API_OLDEST, EF_API_NEWEST);
        return -1;
    }
    for (int i = 0; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        if (value == NULL) {
            fprintf(stderr, "ef_count: argument '%s' has no value\n", argv[i]);
            return -1;
        }
        *value = '\0';
        if (parse_argument(argv[i], value + 1) != 0) {
            return -1;
        }
    }
    if (markers[BEGIN].size == 0 || markers[END].size == 0 || regions == NULL || out == NULL ||
        line_bytes == 0 || cache_lines == 0 || cache_lines > MAX_LINES) {
        fprintf(stderr, "ef_count: begin, end, map and out are needed; lines is 1 to %d\n",
                MAX_LINES);
        return -1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
    return 0;
}
