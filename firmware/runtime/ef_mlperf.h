/* The serial protocol of the MLPerf Tiny benchmark, of images built with EF_MLPERF, the name of a
 * model of the benchmark. With EF_MLPERF_ENERGY edges of a pin mark the time, not lines of text. */
#ifndef EF_MLPERF_H
#define EF_MLPERF_H

#ifdef EF_MLPERF
#include "model.h"

/* A command's longest; the line that is handed over shows by its length that there was more. */
#define EF_MLPERF_COMMAND 80

/* Says that the board is ready; call once, before the first command. */
void ef_mlperf_begin(void);

/* Runs a command, given without its '%', and answers it. Cuts the line into its words. */
void ef_mlperf_command(model_t *model, char *line);
#endif

#endif
