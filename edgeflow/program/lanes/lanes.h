/* What the steps of all programs share. A slot is one value of LANES windows, side by side. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__AVX512BW__) && defined(__AVX512VNNI__)
#include <immintrin.h>
#define LANES 32
#define VECTOR __m512i
#define LOAD(p) _mm512_load_si512((const void *)(p))
#define STORE(p, v) _mm512_store_si512((void *)(p), v)
#define ALL(a) _mm512_set1_epi32(a)
#define LOW(a, b) _mm512_unpacklo_epi16(a, b)
#define HIGH(a, b) _mm512_unpackhi_epi16(a, b)
#define PACK(a, b) _mm512_packs_epi32(a, b)
/* gcc 12 moves each sum to another register and back around the intrinsic */
#define DOT(sum, x, w) __asm__("vpdpwssd %2, %1, %0" : "+v"(sum) : "v"(x), "v"(w))
#define MULTIPLY(a, b) _mm512_mul_epi32(a, b)
#define ADD64(a, b) _mm512_add_epi64(a, b)
#define ALL64(a) _mm512_set1_epi64(a)
#define UP(a, count) _mm512_sll_epi32(a, _mm_cvtsi32_si128(count))
#define UPPER(a) _mm512_srli_epi64(a, 32)
#define ODD(even, odd) _mm512_mask_blend_epi32(0xAAAA, even, odd)
#define ADD(a, b) _mm512_add_epi32(a, b)
#define AND(a, b) _mm512_and_si512(a, b)
#define SHIFTED(a, count) _mm512_srai_epi32(a, count)
#define DIFFERENCE(node, part) _mm512_madd_epi16(node, part)
#define GATHER(at, nodes) _mm512_i32gather_epi32(at, nodes, 4)
#define ROWS_AT_ONCE 8
#elif defined(__AVX2__)
#include <immintrin.h>
#define LANES 16
#define VECTOR __m256i
#define LOAD(p) _mm256_load_si256((const void *)(p))
#define STORE(p, v) _mm256_store_si256((void *)(p), v)
#define ALL(a) _mm256_set1_epi32(a)
#define LOW(a, b) _mm256_unpacklo_epi16(a, b)
#define HIGH(a, b) _mm256_unpackhi_epi16(a, b)
#define PACK(a, b) _mm256_packs_epi32(a, b)
#if defined(__AVXVNNI__)
#define DOT(sum, x, w) __asm__("%{vex%} vpdpwssd %2, %1, %0" : "+x"(sum) : "x"(x), "x"(w))
#else
#define DOT(sum, x, w) sum = _mm256_add_epi32(sum, _mm256_madd_epi16(x, w))
#endif
#define MULTIPLY(a, b) _mm256_mul_epi32(a, b)
#define ADD64(a, b) _mm256_add_epi64(a, b)
#define ALL64(a) _mm256_set1_epi64x(a)
#define UP(a, count) _mm256_sll_epi32(a, _mm_cvtsi32_si128(count))
#define UPPER(a) _mm256_srli_epi64(a, 32)
#define ODD(even, odd) _mm256_blend_epi32(even, odd, 0xAA)
#define ADD(a, b) _mm256_add_epi32(a, b)
#define AND(a, b) _mm256_and_si256(a, b)
#define SHIFTED(a, count) _mm256_srai_epi32(a, count)
#define DIFFERENCE(node, part) _mm256_madd_epi16(node, part)
#define GATHER(at, nodes) _mm256_i32gather_epi32(nodes, at, 4)
#define ROWS_AT_ONCE 4
#else
#define LANES 16
#endif

/* Rows whose weights stand together: pair by pair of columns, those of all rows. */
#define BLOCK 8
#define FOR_LANES _Pragma("omp simd") for (int l = 0; l < LANES; l++)
#define ALIGNED(p) __builtin_assume_aligned(p, 64)

typedef struct {
    const int32_t *weight;            /* [blocks][pairs][BLOCK], each two int16 */
    const int32_t *bias, *multiplier; /* of all blocks' rows; no multiplier: sums are the result */
    int shift;
} matrix_t;

/* Interpolate in a table of nodes, upper half, and the way to the next one, lower half. */
static inline void look_up(const int32_t *nodes, const int32_t *value, int32_t *y) {
#ifdef VECTOR
    /* compilers take care not to gather by themselves */
    for (int l = 0; l < LANES; l += (int)(sizeof(VECTOR) / 4)) {
        const VECTOR at = LOAD(value + l);
        const VECTOR node = GATHER(SHIFTED(ADD(at, ALL(32768)), 8), nodes);
        const VECTOR fraction = AND(at, ALL(255));
        /* pairs of 16 bits: the way times the fraction, the node times 0 */
        const VECTOR way = DIFFERENCE(node, fraction);
        STORE(y + l, ADD(SHIFTED(node, 16), SHIFTED(ADD(way, ALL(128)), 8)));
    }
#else
    FOR_LANES {
        const int32_t node = nodes[(value[l] + 32768) >> 8];
        y[l] = (node >> 16) + (((int32_t)(int16_t)node * (value[l] & 255) + 128) >> 8);
    }
#endif
}

static inline int64_t shift_left(int64_t a, int64_t b) {
    return (uint64_t)b < 64 ? a << b : 0;
}

static inline int64_t shift_right(int64_t a, int64_t b) {
    return (uint64_t)b < 64 ? a >> b : a >> 63;
}

static inline int any(const int16_t *truths) {
    int found = 0;
    for (int l = 0; l < LANES; l++)
        found |= truths[l];
    return found;
}

#ifdef VECTOR
/* Values of two columns side by side, in the order of lanes that PACK undoes. */
static void pair_up(const int16_t *values, const int32_t *slots, int cols, int32_t *pairs) {
    for (int c = 0; c < cols; c += 2, pairs += LANES) {
        const VECTOR even = LOAD(values + slots[c] * LANES);
        const VECTOR odd = c + 1 < cols ? LOAD(values + slots[c + 1] * LANES) : ALL(0);
        STORE(pairs, LOW(even, odd));
        STORE(pairs + LANES / 2, HIGH(even, odd));
    }
}

static inline VECTOR requantized(VECTOR sum, int32_t multiplier, int shift) {
    const VECTOR up = UP(sum, shift), factor = ALL(multiplier), half = ALL64(1LL << 31);
    const VECTOR even = ADD64(MULTIPLY(up, factor), half);
    const VECTOR odd = ADD64(MULTIPLY(UPPER(up), factor), half);
    return ODD(UPPER(even), odd);
}

static void multiply(const int32_t *pairs, int cols, const matrix_t *m, int rows, int16_t *y,
                     int32_t *sums) {
    const int count = (cols + 1) / 2;
    for (int row = 0; row < rows; row += ROWS_AT_ONCE) {
        const int32_t *w = m->weight + (long)(row / BLOCK) * count * BLOCK + row % BLOCK;
        VECTOR low[ROWS_AT_ONCE], high[ROWS_AT_ONCE];
        _Pragma("GCC unroll 8") for (int r = 0; r < ROWS_AT_ONCE; r++) {
            low[r] = high[r] = ALL(m->bias[row + r]);
        }
        for (int k = 0; k < count; k++, w += BLOCK) {
            const VECTOR x0 = LOAD(pairs + k * LANES), x1 = LOAD(pairs + k * LANES + LANES / 2);
            _Pragma("GCC unroll 8") for (int r = 0; r < ROWS_AT_ONCE; r++) {
                const VECTOR factor = ALL(w[r]);
                DOT(low[r], x0, factor);
                DOT(high[r], x1, factor);
            }
        }
        _Pragma("GCC unroll 8") for (int r = 0; r < ROWS_AT_ONCE; r++) {
            if (row + r >= rows)
                break;
            if (sums != NULL) {
                /* back to the order of lanes, by the same way as values of 16 bits */
                int32_t *out = sums + (row + r) * LANES;
                int32_t parts[LANES] __attribute__((aligned(64)));
                STORE(parts, low[r]);
                STORE(parts + LANES / 2, high[r]);
                for (int l = 0; l < LANES; l++)
                    out[(l / 4 / (LANES / 8)) * 4 + (l / 4 % (LANES / 8)) * 8 + l % 4] = parts[l];
            } else {
                const int32_t factor = m->multiplier[row + r];
                STORE(y + (row + r) * LANES, PACK(requantized(low[r], factor, m->shift),
                                                  requantized(high[r], factor, m->shift)));
            }
        }
    }
}
#else
static void pair_up(const int16_t *values, const int32_t *slots, int cols, int32_t *pairs) {
    int16_t *out = (int16_t *)pairs;
    for (int c = 0; c < cols; c++, out += LANES)
        memcpy(out, values + slots[c] * LANES, LANES * sizeof *out);
}

static void multiply(const int32_t *pairs, int cols, const matrix_t *m, int rows, int16_t *y,
                     int32_t *sums) {
    const int16_t *x = (const int16_t *)pairs;
    const int count = (cols + 1) / 2;
    for (int row = 0; row < rows; row++) {
        const int32_t *w = m->weight + (long)(row / BLOCK) * count * BLOCK + row % BLOCK;
        int32_t sum[LANES];
        FOR_LANES sum[l] = m->bias[row];
        for (int c = 0; c < cols; c++) {
            const int32_t both = w[c / 2 * BLOCK];
            const int32_t factor = c % 2 ? both >> 16 : (int16_t)both;
            FOR_LANES sum[l] += factor * x[c * LANES + l];
        }
        if (sums != NULL) {
            memcpy(sums + row * LANES, sum, sizeof sum);
            continue;
        }
        const int64_t factor = m->multiplier[row];
        FOR_LANES {
            const int64_t up = (int64_t)sum[l] << m->shift;
            const int64_t v = (up * factor + (1LL << 31)) >> 32;
            y[row * LANES + l] = (int16_t)(v > 32767 ? 32767 : v < -32768 ? -32768 : v);
        }
    }
}
#endif
