/*
 * Loads a library for Android without Java: `drive LIBRARY < samples`, int32 microseconds and six
 * floats each; prints the outputs of each decision. Its JNI has the one function that is called.
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

typedef int32_t bytes_t(void *env, void *type);
typedef int32_t output_t(void *env, void *type, void *buffer, int32_t index);
typedef int32_t run_t(void *env, void *type, void *buffer, int32_t micros);

static void *address(void *env, void *buffer) {
    (void)env;
    return buffer;
}

int main(int count, char **arguments) {
    static const void *table[235];
    const void *const *functions = table;
    struct {
        int32_t micros;
        float values[6];
    } sample;
    void *library = count == 2 ? dlopen(arguments[1], RTLD_NOW) : NULL;

    if (library == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    table[230] = (void *)(uintptr_t)address;
    bytes_t *bytes = (bytes_t *)(uintptr_t)dlsym(library, "Java_edgeflow_GaitModel_bytes");
    output_t *output = (output_t *)(uintptr_t)dlsym(library, "Java_edgeflow_GaitModel_output");
    run_t *run = (run_t *)(uintptr_t)dlsym(library, "Java_edgeflow_GaitModel_run");
    char *memory = calloc(1, (size_t)bytes(&functions, NULL));
    while (fread(&sample, sizeof sample, 1, stdin) == 1) {
        for (unsigned i = 0; i < 6; i++)
            ((float *)(void *)memory)[i] = sample.values[i];
        if (run(&functions, NULL, memory, sample.micros) > 0)
            for (int i = 0; i < 7; i++)
                printf("%d%c", output(&functions, NULL, memory, i), i < 6 ? ' ' : '\n');
    }
    free(memory);
    return 0;
}
