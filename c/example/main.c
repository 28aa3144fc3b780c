/* Runs a window through a and prints the class. */
#include "a.h"
#include "a_labels.h"
#include "window.h"

#include <stdio.h>
#include <string.h>

/* Feeds the window sample by sample, as a sensor would. */
static void run_window(int16_t y[A_OUTPUTS]) {
    static a_t model;
    int16_t x[A_INPUTS];

    a_init(&model); /* and a_reset() before each further window */
    for (int t = 0; t < WINDOW_SAMPLES; t++) {
        a_quantize(window[t], x);
        a_step(&model, x, y);
    }
}

/* The index of the largest output. */
static int largest(const int16_t y[A_OUTPUTS]) {
    int best = 0;
    for (int i = 1; i < A_OUTPUTS; i++)
        if (y[i] > y[best])
            best = i;
    return best;
}

int main(void) {
    int16_t y[A_OUTPUTS] = {0};

    run_window(y);
    printf("class: %s\n", a_labels[largest(y)]);
    int same = memcmp(y, window_outputs, sizeof y) == 0;
    printf("outputs: %s\n", same ? "as at export" : "NOT as at export");
    return same ? 0 : 1;
}
