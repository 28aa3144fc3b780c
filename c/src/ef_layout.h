/*
 * Offsets of what assembler code reads in the structs of ef_kernels.h, on cores with pointers of 32
 * bits. For .S and C files; the end of this one compares them with the structs.
 */
#ifndef EF_LAYOUT_H
#define EF_LAYOUT_H

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

#ifndef __ASSEMBLER__
#include <stddef.h>
#include <stdint.h>

#include "ef_kernels.h"

#if UINTPTR_MAX == 0xffffffffu
/* An array of negative size where an offset is wrong: C99 has no _Static_assert. */
#define EF_CHECK_OFFSET(type, member, offset)                                                      \
    typedef char type##_##member##_has_moved[offsetof(type, member) == (offset) ? 1 : -1]
EF_CHECK_OFFSET(a_ef_matrix, matvec, EF_MATRIX_MATVEC);
EF_CHECK_OFFSET(a_ef_matrix, weights, EF_MATRIX_WEIGHTS);
EF_CHECK_OFFSET(a_ef_matrix, rows, EF_MATRIX_ROWS);
EF_CHECK_OFFSET(a_ef_matrix, cols, EF_MATRIX_COLS);
EF_CHECK_OFFSET(a_ef_matrix, shift, EF_MATRIX_SHIFT);
EF_CHECK_OFFSET(a_ef_matrix, group, EF_MATRIX_GROUP);
EF_CHECK_OFFSET(a_ef_matrix, threshold, EF_MATRIX_THRESHOLD);
EF_CHECK_OFFSET(a_ef_matrix, memory, EF_MATRIX_MEMORY);
EF_CHECK_OFFSET(a_ef_gru, input, EF_GRU_INPUT);
EF_CHECK_OFFSET(a_ef_gru, recurrent, EF_GRU_RECURRENT);
EF_CHECK_OFFSET(a_ef_gru, hidden, EF_GRU_HIDDEN);
EF_CHECK_OFFSET(a_ef_gru, state_bits, EF_GRU_STATE_BITS);
EF_CHECK_OFFSET(a_ef_lstm, input, EF_LSTM_INPUT);
EF_CHECK_OFFSET(a_ef_lstm, recurrent, EF_LSTM_RECURRENT);
EF_CHECK_OFFSET(a_ef_lstm, hidden, EF_LSTM_HIDDEN);
EF_CHECK_OFFSET(a_ef_lstm, state_bits, EF_LSTM_STATE_BITS);
EF_CHECK_OFFSET(a_ef_lstm, cell_fraction, EF_LSTM_CELL_FRACTION);
#endif
#endif

#endif
