/*
 * Parameters and steps of the layers, made from edgeflow/program/nodes by
 * edgeflow/codegen/cells_header.py: not to be edited.
 *
 * States are read and replaced. y is apart from x. Working memory is aligned to 8 bytes and as long
 * as the class says (scratch: int16, scratch32: int32).
 */
#ifndef EF_CELLS_H
#define EF_CELLS_H

/* a' = clip(a - ((a k + 2^14) >> 15) + x, +-2^30), k = 2^15 - decay */
typedef struct {
    uint16_t size;
    uint8_t bits;   /* Width of the input, 2..16 */
    uint16_t decay; /* Q0.15, 0..32768; 32768 sums without a leak */
    uint8_t shift;  /* 0..15 */
} ef_accumulate;

void ef_accumulate_step(const ef_accumulate *cell, const int16_t *x, int32_t *sum, int16_t *y);

/* Add the branches that are read side by side, each brought to the unit of y */
typedef struct {
    /* [branches * size] A unit of each x in units of y, times 2^shift; the branches one after the
       other */
    const EF_FLASH int16_t *gain;
    const EF_FLASH int32_t *bias; /* [size] In units of 2^-shift of y's */
    uint16_t size;                /* Values of a branch, and of y */
    uint8_t branches;             /* 1..255 */
    uint8_t source_bits;          /* Width of x, 2..16 */
    uint8_t state_bits;           /* Width of y, 2..16 */
    uint8_t shift;                /* 1..30 */
} ef_add;

void ef_add_step(const ef_add *cell, const int16_t *x, int16_t *y);

/* Mean of h since the reset, each step weighted by the exponential of its score s */
typedef struct {
    uint16_t size;       /* Values of h */
    uint8_t source_bits; /* Width of x, 2..16 */
    uint16_t multiplier; /* 0..32767 */
    uint8_t shift;       /* 0..30 */
    uint8_t out_shift;   /* 1..24: 15 gives y in the unit of h */
    uint8_t state_bits;  /* Width of y, 2..16 */
} ef_attention_pool;

void ef_attention_pool_step(const ef_attention_pool *cell, const int16_t *x, int32_t *mean,
                            int32_t *total, int32_t *top, int16_t *y);

/* Second-order sections in direct form I, each reading the one before it */
typedef struct {
    /* [5 * sections] b_0, b_1, b_2, a_1, a_2 of each section, Q28 */
    const EF_FLASH int32_t *coefficients;
    const EF_FLASH int32_t *steady; /* [sections] What v_k is of a constant v_0 of 1, Q28 */
    uint16_t size;                  /* As of every front end */
    uint8_t bits;
    uint16_t first;
    uint16_t count;
    uint8_t sections; /* 1..MAX_SECTIONS */
    /* Bits of the sections' values below a unit of x, 1..20 */
    uint8_t fraction;
} ef_biquad;

void ef_biquad_step(const ef_biquad *cell, const int16_t *x, int32_t *past, int16_t *started,
                    int16_t *y);

/* Gated CfC cell (Hasani et al. 2022, Nature Machine Intelligence 4), constant time steps */
/* CfC cell that is the closed-form solution itself, constant time steps */
typedef struct {
    /* [rows, inputs] Of the backbone's first layer or, without one, of the heads [3 * hidden,
       inputs] */
    const ef_matrix *input;
    const ef_matrix *recurrent;     /* [rows, hidden] */
    const ef_matrix *second;        /* or null; [units, units] Of a backbone that deep */
    const ef_matrix *third;         /* or null */
    const ef_matrix *heads;         /* or null; [3 * hidden, units] With a backbone only */
    const EF_FLASH int32_t *offset; /* [hidden] In units of the state, within 16 bits */
    const EF_FLASH int32_t *gain;   /* [hidden] Within +-2**17 */
    uint16_t hidden;                /* Number of units */
    /* Values of the longest product, rounded up so that a second one behind it is aligned */
    uint16_t buffer;
    uint8_t gate; /* 1: default mode; 0: no_gate */
    /* Width of the state and of what the backbone's layers give, 8..16 */
    uint8_t state_bits;
    uint8_t backbone_bits;
} ef_cfc;

void ef_cfc_step(const ef_cfc *cell, const int16_t *x, int16_t *h, int16_t *scratch);
void ef_cfc_pure_step(const ef_cfc *cell, const int16_t *x, int16_t *h, int16_t *scratch);

/* y = x + W_2 relu(W_1 x + b_1) + b_2 */
typedef struct {
    const ef_matrix *up;   /* [hidden, size] */
    const ef_matrix *down; /* [size, hidden] */
    /* [size] A unit of x in units of y, Q0.15, not negative */
    const EF_FLASH int16_t *skip;
    uint16_t size;       /* Values of x and of y */
    uint16_t hidden;     /* Values between the two matrices */
    uint8_t hidden_bits; /* Widths of h, 2..16, and of y, 8..16 */
    uint8_t state_bits;
} ef_channel_mixer;

void ef_channel_mixer_step(const ef_channel_mixer *cell, const int16_t *x, int16_t *y,
                           int16_t *scratch);

/* Count the rises of x[channel] above high, each after it was below low again */
typedef struct {
    uint16_t size;    /* Values per step */
    uint16_t channel; /* The value that is looked at, from 0 */
    int32_t high;     /* Int16, in units of x, low <= high */
    int32_t low;
    /* Steps after a repetition in which none begins, 0..32767 */
    uint16_t apart;
} ef_count;

void ef_count_step(const ef_count *cell, const int16_t *x, int16_t *count, int16_t *up,
                   int16_t *wait);

/* A straight line on each side of 0, and a table's values t on top of them */
typedef struct {
    /* [size] A unit of x in units of v, times 2^(32 - shift); not negative */
    const EF_FLASH int32_t *multiplier;
    /* [size] A unit of x in units of y, times 2^fraction, above and below 0 */
    const EF_FLASH int16_t *up;
    const EF_FLASH int16_t *down;
    /* [size] A unit of the table in units of y, times 2^fraction */
    const EF_FLASH int16_t *gain;
    const EF_FLASH int16_t *table; /* or null; [257] Values at -8, -8 + 1/16, ..., 8 */
    uint16_t size;                 /* Number of values */
    uint8_t source_bits;           /* Width of x, 2..16 */
    uint8_t state_bits;            /* Width of y, 2..16 */
    uint8_t shift;                 /* 1..15 */
    uint8_t fraction;              /* 1..30 */
} ef_curve;

void ef_curve_step(const ef_curve *cell, const int16_t *x, int16_t *y);

/* Hold the outputs from the first sample on at which the largest leads by threshold */
typedef struct {
    uint16_t size; /* Classes, at least 2 */
    /* In units of the output, 0..65536; 0 decides at start, NEVER not before the window ends */
    int32_t threshold;
    uint16_t start; /* Samples that are read at least, 1..32767 */
} ef_cutoff;

void ef_cutoff_step(const ef_cutoff *cell, const int16_t *x, int16_t *held, int16_t *count);

/* Pass x on at the steps first, first + stride, ... after a reset, counted from 0 */
typedef struct {
    uint16_t size;   /* Values per step */
    uint8_t bits;    /* Their width, 2..16 */
    uint16_t first;  /* 0..16384 */
    uint16_t stride; /* 1..16384 */
} ef_decimate;

void ef_decimate_step(const ef_decimate *cell, const int16_t *x, int16_t *phase, int16_t *y);

/* An event where a smoothed score has been above its threshold in m of the last n steps */
typedef struct {
    /* [size] In units of x. A score above high begins to count, and counts until it is not above
       low. high of 32767: never; no low is above its high */
    const EF_FLASH int16_t *high;
    const EF_FLASH int16_t *low;
    uint16_t size; /* Classes */
    /* 1: scores are leads, which takes at least two classes; 0: they are the outputs */
    uint8_t relative;
    /* Of the exponential mean, 0 (none) to 15: a time constant of about 2^shift steps */
    uint8_t shift;
    uint8_t needed; /* m and n, 1 <= m <= n <= 255 */
    uint8_t steps;
    /* Steps after an event in which there is no other, 0..32767 */
    uint16_t refractory;
} ef_detect;

void ef_detect_step(const ef_detect *cell, const int16_t *x, int32_t *mean, int16_t *past,
                    int16_t *fired, int16_t *wait, int16_t *y);

/* d = clip(x(t) - x(t - 1)), 0 for the first sample after a reset */
typedef struct {
    uint16_t size; /* As of every front end */
    uint8_t bits;
    uint16_t first;
    uint16_t count;
    uint8_t keep; /* 1: x comes first in y */
} ef_difference;

void ef_difference_step(const ef_difference *cell, const int16_t *x, int16_t *past,
                        int16_t *started, int16_t *y);

/* One-pole low-pass filter of values, and what it leaves of them */
typedef struct {
    uint16_t size; /* As of every front end */
    uint8_t bits;
    uint16_t first;
    uint16_t count;
    /* Q0.15, 1..32767: 1 - exp(-2 pi f / f_s) of a corner frequency f */
    uint16_t rate;
} ef_gravity;

void ef_gravity_step(const ef_gravity *cell, const int16_t *x, int32_t *slow, int16_t *started,
                     int16_t *y);

/* GRU cell (Cho et al. 2014, arXiv 1406.1078; torch.nn.GRU's form) */
typedef struct {
    /* [3 * hidden, inputs] Holds b_ir + b_hr, b_iz + b_hz, b_in as bias */
    const ef_matrix *input;
    const ef_matrix *recurrent; /* [3 * hidden, hidden] Holds 0, 0, b_hn as bias */
    uint16_t hidden;            /* Number of units */
    uint8_t state_bits;         /* Width of the state, 8..16 */
} ef_gru;

void ef_gru_step(const ef_gru *cell, const int16_t *x, int16_t *h, int16_t *scratch);

/* GRU cell (Cho et al. 2014, arXiv 1406.1078v3; ONNX's linear_before_reset=0) */
typedef struct {
    const ef_matrix *input;     /* [3 * hidden, inputs] Holds all biases */
    const ef_matrix *recurrent; /* [2 * hidden, hidden] */
    const ef_matrix *candidate; /* [hidden, hidden] */
    uint16_t hidden;            /* Number of units */
    uint8_t state_bits;         /* Width of the state, 8..16 */
} ef_gru_reset_before;

void ef_gru_reset_before_step(const ef_gru_reset_before *cell, const int16_t *x, int16_t *h,
                              int16_t *scratch);

/* Train the rows from the trained ones on the last keep examples of each class */
/* Move each row with the mean of its class, from the prototype P of the training data */
typedef struct {
    /* [outputs, inputs] The trained rows, which read at most 12 bits */
    const ef_matrix *matrix;
    /* [outputs * inputs] The trained rows in units of learned ones, row by row */
    const EF_FLASH int16_t *base;
    const EF_FLASH int32_t *base_bias; /* [outputs] Within +-(2^29 - 1) */
    /* [outputs * inputs] P, class by class, within the width of x */
    const EF_FLASH int16_t *prototypes;
    const EF_FLASH int16_t *rates; /* [17] r(n) for n = 0..16, Q14, not negative */
    uint16_t inputs;               /* Number of input values */
    uint16_t outputs;              /* Number of output values */
    uint16_t limit;                /* Largest magnitude of learned weights */
    uint16_t largest;              /* Largest magnitude of x */
    /* Of learned rows: their unit in units of y, times 2^31 */
    int32_t multiplier;
    uint8_t keep;   /* Examples of a class that are stored, 1..32 */
    uint8_t passes; /* 1..255 */
    uint16_t rate;  /* 0..32767 */
    uint8_t shift;  /* 1..30 */
    /* Of edgeflow.program.confidence.exponent_scale: units of y to exponents */
    uint16_t exponent;
    uint8_t exponent_shift; /* 0..16 */
    uint16_t gain;          /* 0..16384 */
} ef_adaptive;

void ef_adaptive_step(const ef_adaptive *cell, const int16_t *x, int16_t *seen, const int32_t *bias,
                      const int16_t *weights, const int16_t *active, int16_t *y);

/* Legendre Memory Unit of three spiking populations (equations: edgeflow.cells.l2mu) */
typedef struct {
    const ef_matrix *encode; /* [memory_size, inputs + hidden + memory_size * order] */
    /* [order, order + 1] A and B of all memories; reads spikes, so its input has 2 bits */
    const ef_matrix *transition;
    /* [hidden, inputs + hidden + memory_size * order] encode and update read x beside spikes, at
       x's width; with 2 bits all are spikes */
    const ef_matrix *update;
    /* or null; Q0.15, not negative; with it there are synaptic currents j */
    const EF_FLASH int16_t *alpha;
    /* [memory_size + memory_size * order + hidden] Q0.15, not negative, of e, m, h */
    const EF_FLASH int16_t *beta;
    const EF_FLASH int16_t *threshold; /* Not negative */
    uint8_t reset;                     /* Position in edgeflow.program.nodes.lif.RESETS */
} ef_l2mu;

void ef_l2mu_step(const ef_l2mu *cell, const int16_t *x, int16_t *j, int16_t *u, int16_t *e,
                  int16_t *m, int16_t *h, int16_t *scratch);

/* Normalise n values (Ba et al. 2016, arXiv 1607.06450) */
typedef struct {
    const EF_FLASH int16_t *gain; /* [n] In units of 2^-shift of y's */
    const EF_FLASH int32_t *bias; /* [n] In the unit of gain; at most MAX_BIAS */
    uint16_t size;                /* Number of values, at most 2^14 */
    int64_t epsilon;              /* Times n^2, in units of x squared; 1..2^59 */
    uint8_t source_bits;          /* Width of x, 2..16 */
    uint8_t state_bits;           /* Width of y, 8..16 */
    uint8_t shift;                /* 0..15 */
} ef_layer_norm;

void ef_layer_norm_step(const ef_layer_norm *cell, const int16_t *x, int16_t *y);

/* Integrate-and-fire layer (equations: edgeflow.cells.lif) */
typedef struct {
    const ef_matrix *input; /* [hidden, inputs] */
    /* or null; [hidden, hidden] Reads spikes, so its input has 2 bits */
    const ef_matrix *recurrent;
    /* or null; [hidden] Q0.15, not negative; with it there is a synaptic current j */
    const EF_FLASH int16_t *alpha;
    const EF_FLASH int16_t *beta;      /* [hidden] Q0.15, not negative */
    const EF_FLASH int16_t *threshold; /* [hidden] Not negative */
    uint16_t hidden;                   /* Number of units */
    uint8_t reset;                     /* Position in RESETS */
} ef_lif;

void ef_lif_step(const ef_lif *cell, const int16_t *x, int16_t *j, int16_t *u, int16_t *s,
                 int16_t *scratch);

/* LMU cell (Voelker et al., NeurIPS 2019) */
typedef struct {
    /* [memory_size + hidden, inputs] Holds b as bias of the state's rows */
    const ef_matrix *input;
    const ef_matrix *recurrent; /* [memory_size + hidden or hidden, hidden] */
    /* [memory_size + hidden or hidden, memory_size * order] Rows of u have no bias, as v is zero
       after a reset */
    const ef_matrix *memory;
    /* [order * order] D = A - I, row by row, row i in units of 2**-(fraction + shift[i]) */
    const EF_FLASH int16_t *transition;
    const EF_FLASH int16_t *drive; /* [order] B in the same units */
    const EF_FLASH int16_t *shift; /* [order] In 1..30 */
    uint16_t hidden;               /* Number of units */
    uint16_t order;
    uint16_t memory_size;
    uint8_t fraction; /* Bits of m below its high half, 1..15 */
    /* From m to what memory reads; its width is that matrix's input width */
    uint8_t read_shift;
    uint8_t read_bits; /* Widths of what memory reads, and of h */
    uint8_t state_bits;
} ef_lmu;

void ef_lmu_step(const ef_lmu *cell, const int16_t *x, int16_t *h, int32_t *m, int16_t *v,
                 int16_t *scratch);

/* LMU without any weight on the state (Chilkuri and Eliasmith, ICML 2021) */
typedef struct {
    const ef_matrix *input;             /* [memory_size + outputs, inputs] */
    const ef_matrix *memory;            /* [outputs, memory_size * order] */
    const EF_FLASH int16_t *transition; /* As in LMU; state_bits is the width of y */
    const EF_FLASH int16_t *drive;
    const EF_FLASH int16_t *shift;
    uint16_t outputs;
    uint16_t order;
    uint16_t memory_size;
    uint8_t fraction;
    uint8_t read_shift;
    uint8_t read_bits;
    uint8_t state_bits;
} ef_lmu_feedforward;

void ef_lmu_feedforward_step(const ef_lmu_feedforward *cell, const int16_t *x, int32_t *m,
                             int16_t *y, int16_t *scratch);

/* Log-mel energies of the last size samples, of which a step reads hop new ones */
typedef struct {
    /* [size] Q0.15, not negative; zeros first, where it is shorter than the transform */
    const EF_FLASH int16_t *window;
    /* [size / 2] Pairs of samples in the order in which the transform reads them */
    const EF_FLASH int16_t *order;
    /* Factors of the transform (edgeflow.program.fourier.twiddles) */
    const EF_FLASH int16_t *twiddle;
    /* [channels + 2] First bin of each band, 1..size / 2, not falling */
    const EF_FLASH int16_t *edges;
    /* [size / 2 - 1] Q0.15, share of each bin, from 1 on, in the filter that its band ends in */
    const EF_FLASH int16_t *weight;
    uint16_t channels; /* Number of filters */
    uint16_t hop;      /* New samples a step, less than size */
    uint16_t size;     /* Values that the transform reads, one of SIZES */
    int32_t floor;     /* Least logarithm, in 2^-15 of a factor of two */
    int32_t offset;    /* What becomes 0 in y, in the unit of floor */
    /* One unit of y is 2^(down - 15) of a factor of two, 1..15 */
    uint8_t down;
    uint8_t bits; /* Width of y, 8..16 */
} ef_log_mel;

void ef_log_mel_step(const ef_log_mel *cell, const int16_t *x, int16_t *frame, int16_t *y,
                     int32_t *scratch32);

/* Linear Recurrent Unit (equations: edgeflow.cells.lru) */
typedef struct {
    /* [2 * size + hidden, inputs] Rows of d and e drive the states, those of s, in Q3.12, the
       output; they hold its bias */
    const ef_matrix *input;
    /* [hidden, 2 * size] Reads the states in state_bits; Q3.12 */
    const ef_matrix *output;
    const EF_FLASH int32_t *real; /* [size] Poles, Q1.30 */
    const EF_FLASH int32_t *imaginary;
    const EF_FLASH int16_t *shift; /* [size] From what drives a state to the state, 0..14 */
    uint16_t hidden;               /* Number of units */
    uint16_t size;                 /* Complex states */
    uint8_t state_bits;            /* Width of y and of what output reads, 8..16 */
} ef_lru;

void ef_lru_step(const ef_lru *cell, const int16_t *x, int32_t *h, int16_t *y, int16_t *scratch);

/* LSTM cell (Hochreiter and Schmidhuber 1997; torch.nn.LSTM's form) */
typedef struct {
    const ef_matrix *input;     /* [4 * hidden, inputs] Holds both biases */
    const ef_matrix *recurrent; /* [4 * hidden, hidden] */
    uint16_t hidden;            /* Number of units */
    uint8_t state_bits;         /* Width of h, 8..16 */
    uint8_t cell_fraction;      /* Fractional bits of c, 8..15 */
} ef_lstm;

void ef_lstm_step(const ef_lstm *cell, const int16_t *x, int16_t *h, int16_t *c, int16_t *scratch);

/* LTC cell (Hasani et al. 2021, arXiv 2006.04439), constant time steps */
typedef struct {
    /* [hidden * inputs] Of the inputs' synapses; the arguments of the sigmoid are in Q3.12, offsets
       in Q5.10, conductances in Q0.15 */
    const EF_FLASH int16_t *sensory_slope;
    const EF_FLASH int16_t *sensory_offset;
    const EF_FLASH int16_t *sensory_weight;
    const EF_FLASH int16_t *sensory_reversal;
    const EF_FLASH int16_t *slope; /* [hidden * hidden] Of the synapses between units */
    const EF_FLASH int16_t *offset;
    const EF_FLASH int16_t *weight;
    const EF_FLASH int16_t *reversal;
    const EF_FLASH int16_t *capacity; /* [hidden] Q0.15 */
    const EF_FLASH int32_t *leak;     /* [hidden] Q0.30 */
    const EF_FLASH int32_t *rest;
    uint16_t inputs;
    uint16_t hidden;       /* Number of units */
    uint8_t unfolds;       /* Solver steps per sample, 1..MAX_UNFOLDS */
    uint8_t source_bits;   /* Width of the input, 2..16 */
    uint16_t motors;       /* The first units, which are the output */
    uint8_t sensory_shift; /* One unit of a slope is 2**-shift, 1..15 */
    uint8_t shift;
} ef_ltc;

void ef_ltc_step(const ef_ltc *cell, const int16_t *x, int16_t *v, int16_t *scratch,
                 int32_t *scratch32);

/* Length of each group of values, rounded to the nearest */
typedef struct {
    uint16_t size; /* As of every front end */
    uint8_t bits;
    uint16_t first;
    uint16_t count;
    uint16_t group; /* Values of a vector; S stays below 2^32 */
    uint8_t keep;   /* 1: x comes first in y */
    uint8_t shift;  /* 0..15 */
} ef_magnitude;

void ef_magnitude_step(const ef_magnitude *cell, const int16_t *x, int16_t *y);

/* minGRU: z = \sigma(v_z), rows in the order z (Q3.12), candidate */
typedef struct {
    /* [blocks * hidden, inputs] Rows of the gates, then of the candidate */
    const ef_matrix *input;
    uint16_t hidden;      /* Number of units */
    uint8_t state_bits;   /* Width of the output, 8..16 */
    uint8_t output_shift; /* In 1..30 */
} ef_mingru;

void ef_mingru_step(const ef_mingru *cell, const int16_t *x, int32_t *h, int16_t *y,
                    int16_t *scratch);

/* minLSTM: z = i / (f + i), rows in the order f, i, candidate */
typedef struct {
    /* [blocks * hidden, inputs] Rows of the gates, then of the candidate */
    const ef_matrix *input;
    uint16_t hidden;      /* Number of units */
    uint8_t state_bits;   /* Width of the output, 8..16 */
    uint8_t output_shift; /* In 1..30 */
    /* The gates' rows are in units of 2^(gate_shift - 12); 0..4 */
    uint8_t gate_shift;
} ef_minlstm;

void ef_minlstm_step(const ef_minlstm *cell, const int16_t *x, int32_t *h, int16_t *y,
                     int16_t *scratch);

/* y = max(x(t), ..., x(t - steps + 1)). Before a reset, x counts as 0 */
typedef struct {
    uint16_t size; /* Values per step */
    uint8_t bits;  /* Their width, 2..16 */
    uint8_t steps; /* 2..64 */
} ef_moving_max;

void ef_moving_max_step(const ef_moving_max *cell, const int16_t *x, int16_t *past, int16_t *y);

/* y = (2 multiplier sum + 2^31) >> 32, sum = x(t) + ... + x(t - steps + 1) */
typedef struct {
    uint16_t size;      /* Values per step */
    uint8_t bits;       /* Their width, 2..16 */
    uint16_t steps;     /* 2..16384 */
    int32_t multiplier; /* reciprocal of steps */
} ef_moving_mean;

void ef_moving_mean_step(const ef_moving_mean *cell, const int16_t *x, int16_t *past, int32_t *sum,
                         int16_t *y);

/* Multiply the two branches a and b that are read side by side */
typedef struct {
    /* [size] A unit of a times one of b in units of y, times 2^32; not negative */
    const EF_FLASH int32_t *multiplier;
    uint16_t size;       /* Values of a branch, and of y */
    uint8_t source_bits; /* Width of a and b, 2..16 */
    uint8_t state_bits;  /* Width of y, 2..16 */
} ef_multiply;

void ef_multiply_step(const ef_multiply *cell, const int16_t *x, int16_t *y);

/* Add to forecasts of changes what a linear filter learns of their errors, as values come */
typedef struct {
    /* [horizons * series] A unit of z in units of each p, times 2^(32 - unit_shift) */
    const EF_FLASH int32_t *unit;
    /* [horizons * series] What each p is where nothing changes */
    const EF_FLASH int16_t *zero;
    uint16_t features; /* Number of features */
    uint16_t limit;    /* Largest magnitude of weights */
    /* Sizes as above: 1..64, 1..16, 1..64, 1..32, 1..32 and 0..126 */
    uint8_t series;
    uint8_t horizons;
    uint8_t stride;
    uint8_t lags;
    uint8_t every;
    uint8_t read;
    uint8_t unit_shift; /* 1..14 */
    uint8_t down;       /* 0..15 */
    uint8_t lag_shift;
    /* Ticks after a reset whose forecasts teach nothing, 0..200 */
    uint8_t wait;
    int32_t multiplier; /* A unit of weights in units of p, times 2^31 */
    int32_t epsilon;    /* 2^16..2^28 */
    uint16_t rate;      /* 0..32767; 0: it learns nothing */
    uint8_t shift;      /* 14..30 */
} ef_nlms;

void ef_nlms_step(const ef_nlms *cell, const int16_t *x, int16_t *past, int16_t *kept,
                  int16_t *phase, int16_t *ticks, int32_t *errors, int32_t *masters, int16_t *y,
                  int16_t *scratch);

/* The mean weighted error of forecasts, as an anomaly score, and whether it is too large */
typedef struct {
    const EF_FLASH int16_t *weight; /* [size] Q0.15, not negative; their sum is at most 1 */
    uint16_t size;                  /* Values that are forecast */
    /* A unit of what came is 2^up units of the forecast's, 0..15 */
    uint8_t up;
    uint8_t horizon; /* Steps that forecasts are ahead, 0..255 */
    /* 1: they are changes from the present value; 0: they are values */
    uint8_t change;
    /* Of the running means, 0 (none) to 15: a time constant of about 2^shift steps */
    uint8_t shift;
    /* Steps that are taken as normal, 0..32767; 0: threshold is the limit */
    uint16_t learn;
    /* Of these, steps whose score does not count, as means and forecasts begin */
    uint16_t wait;
    uint16_t gain; /* Q4.12, 0..65535 */
    /* The least limit, 0..32767; one that is 32767 is never exceeded */
    uint16_t threshold;
    /* Q0.15, 0..32768: an anomaly lasts until the score is not above this share of the limit */
    uint16_t keep;
} ef_residual;

void ef_residual_step(const ef_residual *cell, const int16_t *x, int16_t *past, int32_t *bias,
                      int32_t *mean, int16_t *seen, int16_t *pace, int16_t *peak, int16_t *flag,
                      int16_t *y);

/* Elman cell (Elman 1990; torch.nn.RNN's form) */
typedef struct {
    const ef_matrix *input;     /* [hidden, inputs] Holds both biases */
    const ef_matrix *recurrent; /* [hidden, hidden] */
    uint16_t hidden;            /* Number of units */
    uint8_t state_bits;         /* Width of the state, 8..16 */
    uint8_t state_shift;        /* In 0..15 */
    uint8_t relu;               /* 1: relu; 0: tanh */
} ef_rnn;

void ef_rnn_step(const ef_rnn *cell, const int16_t *x, int16_t *h, int16_t *scratch);

/* above' = max(above, x + 2^15), y = above' - 2^15: the largest x since the reset */
typedef struct {
    uint16_t size; /* Values per step */
    uint8_t bits;  /* Their width, 2..16 */
} ef_running_max;

void ef_running_max_step(const ef_running_max *cell, const int16_t *x, int32_t *above, int16_t *y);

/* GRU cell as GRU, with a state m of 32 bits that h is read from */
typedef struct {
    /* [3 * hidden, inputs] Holds b_ir + b_hr, b_iz + b_hz, b_in as bias */
    const ef_matrix *input;
    const ef_matrix *recurrent; /* [3 * hidden, hidden] Holds 0, 0, b_hn as bias */
    uint16_t hidden;            /* Number of units */
    uint8_t state_bits;         /* Width b of h, 8..16 */
} ef_slow_gru;

void ef_slow_gru_step(const ef_slow_gru *cell, const int16_t *x, int16_t *h, int32_t *m,
                      int16_t *scratch);

/* Sigmoid of each value */
/* Hyperbolic tangent of each value */
typedef struct {
    /* [size] A unit of x in units of v, times 2^(32 - shift); not negative */
    const EF_FLASH int32_t *multiplier;
    uint16_t size;       /* Number of values */
    uint8_t source_bits; /* Width of x, 2..16 */
    uint8_t state_bits;  /* Width of y, 8..16 */
    uint8_t shift;       /* 1..15 */
} ef_squash;

void ef_sigmoid_step(const ef_squash *cell, const int16_t *x, int16_t *y);
void ef_tanh_step(const ef_squash *cell, const int16_t *x, int16_t *y);

/* y = [x(t - (taps - 1) dilation), ..., x(t - dilation), x(t)], zeros after a reset */
typedef struct {
    uint16_t size;     /* Values per sample */
    uint8_t bits;      /* Their width, 2..16 */
    uint16_t taps;     /* At least 2 */
    uint16_t dilation; /* At least 1 */
} ef_taps;

void ef_taps_step(const ef_taps *cell, const int16_t *x, int16_t *past, int16_t *y);

/* LSTM cell as LSTM, with a cell state c of 32 bits */
typedef struct {
    const ef_matrix *input;     /* [4 * hidden, inputs] Holds both biases */
    const ef_matrix *recurrent; /* [4 * hidden, hidden] */
    uint16_t hidden;            /* Number of units */
    uint8_t state_bits;         /* Width b of h, 8..16 */
    uint8_t cell_fraction;      /* Fractional bits of c, 13..30 */
} ef_wide_lstm;

void ef_wide_lstm_step(const ef_wide_lstm *cell, const int16_t *x, int16_t *h, int32_t *c,
                       int16_t *scratch);

/* The last x, zeros before the first: it can be read at any step of the program */
typedef struct {
    uint16_t size; /* Values per step */
    uint8_t bits;  /* Their width, 2..16 */
} ef_zero_order_hold;

void ef_zero_order_hold_step(const ef_zero_order_hold *cell, const int16_t *x, int16_t *last);

#endif
