/* Feeds a watch's stream from the standard input, uint32 time and float sensors a sample; prints
 * the outputs of each decision. NAME is `gait`. */
#include "gait_stream.h"

#include <stdio.h>

int main(void) {
    static gait_stream_t stream;
    struct {
        uint32_t time_us;
        float sensors[GAIT_SENSORS];
    } sample;

    while (fread(&sample, sizeof sample, 1, stdin) == 1) {
        const int decisions = gait_stream_push(&stream, sample.time_us, sample.sensors);

        if (decisions > 1)
            printf("%d decisions at once\n", decisions);
        if (decisions > 0)
            for (int i = 0; i < GAIT_OUTPUTS; i++)
                printf("%d%c", stream.y[i], i + 1 < GAIT_OUTPUTS ? ' ' : '\n');
    }
    return 0;
}
