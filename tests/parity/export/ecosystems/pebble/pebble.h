/*
 * Stand-in for the Pebble SDK's header: what apps of EdgeFlow call, declared as in the public API
 * (PebbleOS, src/fw/applib). pebble.c implements it on a host.
 */
#ifndef PEBBLE_H
#define PEBBLE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef struct Layer Layer;
typedef struct TextLayer TextLayer;
typedef struct Window Window;
typedef void *GFont;
typedef struct {
    int16_t x, y;
} GPoint;
typedef struct {
    int16_t w, h;
} GSize;
typedef struct {
    GPoint origin;
    GSize size;
} GRect;
#define GRect(x, y, w, h) ((GRect){{(x), (y)}, {(w), (h)}})
typedef enum { GTextAlignmentLeft, GTextAlignmentCenter, GTextAlignmentRight } GTextAlignment;
#define FONT_KEY_GOTHIC_28_BOLD "RESOURCE_ID_GOTHIC_28_BOLD"

typedef void (*WindowHandler)(Window *window);
typedef struct {
    WindowHandler load, appear, disappear, unload;
} WindowHandlers;

Window *window_create(void);
void window_destroy(Window *window);
void window_set_window_handlers(Window *window, WindowHandlers handlers);
Layer *window_get_root_layer(const Window *window);
void window_stack_push(Window *window, bool animated);
GRect layer_get_bounds(const Layer *layer);
void layer_add_child(Layer *parent, Layer *child);
TextLayer *text_layer_create(GRect frame);
void text_layer_destroy(TextLayer *text_layer);
Layer *text_layer_get_layer(TextLayer *text_layer);
void text_layer_set_text(TextLayer *text_layer, const char *text);
void text_layer_set_font(TextLayer *text_layer, GFont font);
void text_layer_set_text_alignment(TextLayer *text_layer, GTextAlignment alignment);
GFont fonts_get_system_font(const char *font_key);
void app_event_loop(void);

typedef enum {
    ACCEL_SAMPLING_10HZ = 10,
    ACCEL_SAMPLING_25HZ = 25,
    ACCEL_SAMPLING_50HZ = 50,
    ACCEL_SAMPLING_100HZ = 100,
} AccelSamplingRate;
typedef struct __attribute__((__packed__)) {
    int16_t x, y, z;
} AccelRawData;
typedef void (*AccelRawDataHandler)(AccelRawData *data, uint32_t num_samples, uint64_t timestamp);
void accel_raw_data_service_subscribe(uint32_t samples_per_update, AccelRawDataHandler handler);
int accel_service_set_sampling_rate(AccelSamplingRate rate);
void accel_data_service_unsubscribe(void);

#endif
