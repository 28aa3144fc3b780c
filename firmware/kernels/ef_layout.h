/*
 * Offsets of what assembler code reads in the structs of ef_kernels.h, on cores with pointers of 32
 * bits and on AVR. For .S and C files; the end of this one compares them with the structs.
 */
#ifndef EF_LAYOUT_H
#define EF_LAYOUT_H

#ifdef __AVR__
#define EF_MATRIX_WEIGHTS 2
#define EF_MATRIX_ROWS 8
#define EF_MATRIX_COLS 10
#else
#define EF_MATRIX_MATVEC 0
#define EF_MATRIX_WEIGHTS 4
#define EF_MATRIX_ROWS 16
#define EF_MATRIX_COLS 18
#define EF_MATRIX_SHIFT 20
#define EF_MATRIX_GROUP 21
#define EF_MATRIX_THRESHOLD 22
#define EF_MATRIX_MEMORY 24

#define EF_GRU_INPUT 0
#define EF_GRU_RECURRENT 4
#define EF_GRU_HIDDEN 8
#define EF_GRU_STATE_BITS 10

#define EF_LSTM_INPUT 0
#define EF_LSTM_RECURRENT 4
#define EF_LSTM_HIDDEN 8
#define EF_LSTM_STATE_BITS 10
#define EF_LSTM_CELL_FRACTION 11
#endif

#ifndef __ASSEMBLER__
#include <stddef.h>
#include <stdint.h>

#include "ef_kernels.h"

/* An array of negative size where an offset is wrong: C99 has no _Static_assert. */
#define EF_CHECK_OFFSET(type, member, offset)                                                      \
    typedef char type##_##member##_has_moved[offsetof(type, member) == (offset) ? 1 : -1]
#if UINTPTR_MAX == 0xffffffffu || defined(__AVR__)
EF_CHECK_OFFSET(ef_matrix, weights, EF_MATRIX_WEIGHTS);
EF_CHECK_OFFSET(ef_matrix, rows, EF_MATRIX_ROWS);
EF_CHECK_OFFSET(ef_matrix, cols, EF_MATRIX_COLS);
#endif
#if UINTPTR_MAX == 0xffffffffu
EF_CHECK_OFFSET(ef_matrix, matvec, EF_MATRIX_MATVEC);
EF_CHECK_OFFSET(ef_matrix, shift, EF_MATRIX_SHIFT);
EF_CHECK_OFFSET(ef_matrix, group, EF_MATRIX_GROUP);
EF_CHECK_OFFSET(ef_matrix, threshold, EF_MATRIX_THRESHOLD);
EF_CHECK_OFFSET(ef_matrix, memory, EF_MATRIX_MEMORY);
EF_CHECK_OFFSET(ef_gru, input, EF_GRU_INPUT);
EF_CHECK_OFFSET(ef_gru, recurrent, EF_GRU_RECURRENT);
EF_CHECK_OFFSET(ef_gru, hidden, EF_GRU_HIDDEN);
EF_CHECK_OFFSET(ef_gru, state_bits, EF_GRU_STATE_BITS);
EF_CHECK_OFFSET(ef_lstm, input, EF_LSTM_INPUT);
EF_CHECK_OFFSET(ef_lstm, recurrent, EF_LSTM_RECURRENT);
EF_CHECK_OFFSET(ef_lstm, hidden, EF_LSTM_HIDDEN);
EF_CHECK_OFFSET(ef_lstm, state_bits, EF_LSTM_STATE_BITS);
EF_CHECK_OFFSET(ef_lstm, cell_fraction, EF_LSTM_CELL_FRACTION);
#endif
#endif

#endif
