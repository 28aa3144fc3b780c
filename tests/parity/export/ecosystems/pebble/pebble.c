/*
 * The stand-in watch: it delivers batches of samples from the standard input, int16 x, y, z, and
 * prints the texts that the app shows. Handlers come and go in the order of the real one.
 */
#include <pebble.h>

#include <stdlib.h>

struct Window {
    WindowHandlers handlers;
};
struct Layer {
    int children;
};
struct TextLayer {
    struct Layer layer;
};
static Window window;
static Layer root;
static AccelRawDataHandler handler;
static uint32_t batch, rate;

static void expect(bool fine, const char *what) {
    if (fine)
        return;
    fprintf(stderr, "%s\n", what);
    exit(1);
}

Window *window_create(void) {
    return &window;
}

void window_destroy(Window *one) {
    expect(handler == NULL && root.children == 0, "the app left something behind");
    (void)one;
}

void window_set_window_handlers(Window *one, WindowHandlers handlers) {
    one->handlers = handlers;
}

Layer *window_get_root_layer(const Window *one) {
    (void)one;
    return &root;
}

void window_stack_push(Window *one, bool animated) {
    (void)animated;
    one->handlers.load(one);
}

GRect layer_get_bounds(const Layer *layer) {
    (void)layer;
    return GRect(0, 0, 144, 168);
}

void layer_add_child(Layer *parent, Layer *child) {
    (void)child;
    parent->children++;
}

TextLayer *text_layer_create(GRect frame) {
    expect(frame.size.w == 144 && frame.origin.y >= 0 && frame.origin.y + frame.size.h <= 168,
           "a text is outside of the screen");
    return calloc(1, sizeof(TextLayer));
}

void text_layer_destroy(TextLayer *layer) {
    root.children--;
    free(layer);
}

Layer *text_layer_get_layer(TextLayer *layer) {
    return &layer->layer;
}

void text_layer_set_text(TextLayer *layer, const char *text) {
    (void)layer;
    puts(text);
}

void text_layer_set_font(TextLayer *layer, GFont font) {
    (void)layer, (void)font;
}

void text_layer_set_text_alignment(TextLayer *layer, GTextAlignment alignment) {
    (void)layer, (void)alignment;
}

GFont fonts_get_system_font(const char *font_key) {
    return (void *)(uintptr_t)font_key;
}

void accel_raw_data_service_subscribe(uint32_t samples_per_update, AccelRawDataHandler one) {
    expect(samples_per_update >= 1 && samples_per_update <= 25, "a batch has 1 to 25 samples");
    batch = samples_per_update;
    rate = 25;
    handler = one;
}

int accel_service_set_sampling_rate(AccelSamplingRate one) {
    expect(handler != NULL, "the rate is set after the subscription, which resets it");
    rate = one;
    return 0;
}

void accel_data_service_unsubscribe(void) {
    handler = NULL;
}

void app_event_loop(void) {
    AccelRawData data[25];
    uint64_t count, all = 0;

    while ((count = fread(data, sizeof data[0], batch, stdin)) > 0) {
        handler(data, (uint32_t)count, all * 1000 / rate);
        all += count;
    }
    window.handlers.unload(&window);
}
