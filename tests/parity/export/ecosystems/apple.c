/* Feeds the C target of the Swift package, as Swift does; prints the outputs of each decision. */
#include "CGaitKit.h"

#include <stdio.h>
#include <stdlib.h>

int main(void) {
    void *memory = calloc(1, gait_app_bytes());
    struct {
        uint32_t micros;
        float values[6];
    } sample;

    while (fread(&sample, sizeof sample, 1, stdin) == 1)
        if (gait_app_push(memory, sample.micros, sample.values) > 0) {
            printf("%s %d", gait_app_label(gait_app_decision(memory)), gait_app_share(memory));
            for (int i = 0; i < gait_app_outputs(); i++)
                printf(" %d", gait_app_output(memory, i));
            puts("");
        }
    free(memory);
    return 0;
}
