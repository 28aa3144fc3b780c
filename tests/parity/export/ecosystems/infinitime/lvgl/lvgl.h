/* Stand-in for LVGL 7: what apps of EdgeFlow call, declared as in the public API. */
#ifndef LVGL_H
#define LVGL_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lv_obj lv_obj_t;
typedef struct lv_task {
    void (*task_cb)(struct lv_task *);
    void *user_data;
    uint32_t period;
} lv_task_t;
typedef void (*lv_task_cb_t)(lv_task_t *);
typedef int16_t lv_coord_t;
typedef uint8_t lv_align_t;
typedef uint8_t lv_task_prio_t;
enum { LV_ALIGN_CENTER };
enum { LV_TASK_PRIO_MID = 3 };
#define LV_DISP_DEF_REFR_PERIOD 20

lv_obj_t *lv_scr_act(void);
lv_obj_t *lv_label_create(lv_obj_t *parent, const lv_obj_t *copy);
void lv_label_set_text_static(lv_obj_t *label, const char *text);
void lv_label_set_text_fmt(lv_obj_t *label, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void lv_obj_align(lv_obj_t *obj, const lv_obj_t *base, lv_align_t align, lv_coord_t x,
                  lv_coord_t y);
void lv_obj_clean(lv_obj_t *obj);
lv_task_t *lv_task_create(lv_task_cb_t task, uint32_t period, lv_task_prio_t prio, void *user_data);
void lv_task_del(lv_task_t *task);

#ifdef __cplusplus
}
#endif

#endif
